// Packed virtqueue in memory (VIRTIO 1.2, section 2.8): one ring that both sides write.
// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "base/result.hpp"
#include "device/virtio/spec.hpp"
#include "device/virtio/split_ring.hpp"

namespace pv::virtio {

/// The driver's half of the protocol. Owns no memory and knows neither locks nor devices; not synchronised.
/// A chain is known by the id its driver gave it, below `entries`, which it keeps until it is done.
class PackedRing {
  public:
    static constexpr std::size_t most_entries = 256;

    [[nodiscard]] static constexpr std::size_t table_bytes(std::size_t entries) {
        return sizeof(PackedDescriptor) * entries;
    }

    static constexpr std::size_t event_bytes = sizeof(EventSuppression);

    /// `table` is aligned to 16, the event areas to 4; all zero. `entries` is 2 to most_entries.
    /// Errors: invalid_argument when one of that does not hold.
    [[nodiscard]] static Result<PackedRing> create(std::span<std::byte> table,
                                                   std::span<std::byte> driver_event,
                                                   std::span<std::byte> device_event, std::size_t entries,
                                                   bool event_index);

    [[nodiscard]] std::size_t entries() const { return entries_; }

    /// Hands a chain to the device: all of it is visible to it before its first descriptor is. Flags are
    /// Descriptor's. Returns where the next one goes, with the wrap counter in bit 15, as a doorbell
    /// announces it. Errors: no_space; invalid_argument (an empty chain, an id that is too large or in use).
    [[nodiscard]] Result<std::uint16_t> make_available(std::uint16_t id, std::span<const Descriptor> chain);

    /// As SplitRing's.
    [[nodiscard]] bool wants_doorbell();
    [[nodiscard]] bool rearm();

    /// The next finished chain, nullopt when there is none. An id that names nothing breaks the ring: where
    /// the next one would be is not known then.
    [[nodiscard]] std::optional<Used> next_used();

    [[nodiscard]] bool broken() const { return broken_; }

    /// The device was reset and the memory is zero again.
    void restart();

  private:
    PackedRing(std::span<std::byte> table, std::span<std::byte> driver_event,
               std::span<std::byte> device_event, std::size_t entries, bool event_index);

    /// A place in the ring, and how often it came round, modulo 2.
    struct Place {
        std::uint16_t index = 0;
        bool wrap = true;

        void advance(std::size_t by, std::size_t entries) {
            const std::size_t next = index + by;
            wrap = next >= entries ? !wrap : wrap;
            index = static_cast<std::uint16_t>(next >= entries ? next - entries : next);
        }

        [[nodiscard]] std::uint16_t wire() const {
            return static_cast<std::uint16_t>(index | (wrap ? EventSuppression::wrap : 0));
        }
    };

    [[nodiscard]] bool is_used(std::uint16_t flags) const;

    PackedDescriptor* ring_;
    EventSuppression* driver_event_;
    EventSuppression* device_event_;
    std::size_t entries_;
    std::size_t free_;
    Place available_;                                   ///< where the next chain begins
    Place used_;                                        ///< where the next used descriptor will be
    std::uint16_t untold_ = 0;                          ///< descriptors since wants_doorbell was asked
    std::array<std::uint16_t, most_entries> chains_{};  ///< descriptors of the chain by id, 0 = not in use
    bool event_index_;
    bool broken_ = false;
};

}  // namespace pv::virtio
