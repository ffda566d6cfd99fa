// Virtio devices of PCI: split virtqueues as the driver makes them, chains as it makes them available, ends
// as the used ring tells.
// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <map>
#include <unordered_map>

#include "ownership/tracker.hpp"
#include "plugin/ring.hpp"

namespace pv::ownership {

/// Virtio 1.2: configuration 4.1.4.3, split virtqueues 2.7. registers() is the common configuration.
class Virtio final : public Device {
  public:
    Virtio(Tracker& tracker, std::uint64_t registers) : Device(tracker, registers) {}

    void settle() override;
    void rung(const Actor& actor, const Access& access) override;
    void quiet() override;
    void stored(const Actor& actor, std::uint64_t offset, std::size_t size, std::uint64_t value) override;
    void loaded(std::uint64_t offset, std::size_t size, std::uint64_t value) override;

    [[nodiscard]] bool is_set_up() const override { return set_up_; }

  private:
    class Taker;

    struct Queue {
        plugin::Ring ring;
        std::uint64_t used = 0;  ///< bus address of the used ring
        std::uint16_t next_used = 0;
        std::uint32_t watched = 0;
        bool enabled = false;
        std::unordered_map<std::uint16_t, std::uint32_t> commands;  ///< outstanding, by their head
        std::deque<std::uint16_t> early;                            ///< used before they were taken
    };

    static constexpr std::size_t most_queues = 1024;

    void enable(Queue& queue);
    void disable(Queue& queue);
    void settle(Queue& queue);
    void take(const Actor& actor, Queue& queue);
    /// False when nothing was known of it.
    bool end(Queue& queue, std::uint16_t head);

    [[nodiscard]] Buses::Route route() const {
        constexpr unsigned access_platform = 33;
        return {registers(), (features_ >> access_platform & 1) == 0};
    }

    [[nodiscard]] BusMemory memory() const { return {tracker().memory(), tracker().buses(), route()}; }

    bool set_up_ = false;  ///< between the first status and DRIVER_OK
    bool is_unseen_ = false;
    std::uint64_t features_ = 0;
    std::uint32_t feature_page_ = 0;
    std::uint16_t selected_ = 0;
    std::map<std::uint16_t, Queue> queues_;
};

}  // namespace pv::ownership
