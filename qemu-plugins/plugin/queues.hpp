// The virtqueues a guest told of by markers, and what to do at each of their doorbells.
// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <mutex>
#include <span>

#include "paravane/marker.h"
#include "plugin/guest_memory.hpp"
#include "plugin/ring.hpp"

namespace pv::plugin {

/// Bounded: a guest may claim any number of devices and queues. Any vCPU may call; one lock guards all, which
/// costs nothing beside the log's own, taken for each line that a doorbell leads to.
class Queues {
  public:
    static constexpr std::size_t most_queues = 256;
    static constexpr std::size_t most_devices = 64;

    /// `find` is called once, when memory is needed for the first time: QEMU loads plugins before it makes
    /// the machine.
    explicit Queues(std::function<GuestMemory::Found()> find) : find_(std::move(find)) {}

    /// Whether `marker` with these arguments means anything here; needs no lock.
    [[nodiscard]] static bool concerns(std::uint16_t marker, std::span<const std::uint64_t, 6> args);

    void on_marker(std::uint16_t marker, std::span<const std::uint64_t, 6> args, RingSink& sink);

  private:
    struct Device {
        std::uint64_t bdf = 0;
        std::uint64_t kind = PV_DEVICE_OTHER;
        bool used = false;
        bool translated = false;  ///< its bus addresses are not physical ones
    };

    struct Queue {
        Ring ring;
        bool used = false;
        bool has_areas = false;
        bool created = false;
        trace::RingUnseen unseen = trace::RingUnseen::none;  ///< said already
    };

    Device* device(std::uint64_t bdf, bool make);
    Queue* queue(std::uint64_t bdf, std::uint64_t number, bool make);
    void forget_queues(std::uint64_t bdf);
    void set_areas(std::span<const std::uint64_t, 6> args);
    void create(std::span<const std::uint64_t, 6> args, RingSink& sink);
    void doorbell(std::span<const std::uint64_t, 6> args, RingSink& sink);
    trace::RingUnseen obstacle(const Queue& queue);

    std::mutex lock_;
    std::function<GuestMemory::Found()> find_;
    bool sought_ = false;
    GuestMemory::Found found_;
    std::array<Device, most_devices> devices_;
    std::array<Queue, most_queues> queues_;
};

}  // namespace pv::plugin
