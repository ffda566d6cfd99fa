// Packed virtqueue in memory: one ring that both sides write.
// SPDX-License-Identifier: MIT
#include "device/virtio/packed_ring.hpp"

#include <utility>

#include "device/dma/shared.hpp"

namespace pv::virtio {
namespace {

bool aligned(const std::byte* address, std::size_t alignment) {
    return reinterpret_cast<std::uintptr_t>(address) % alignment == 0;
}

}  // namespace

Result<PackedRing> PackedRing::create(std::span<std::byte> table, std::span<std::byte> driver_event,
                                      std::span<std::byte> device_event, std::size_t entries,
                                      bool event_index) {
    if (entries < 2 || entries > most_entries || table.size() < table_bytes(entries) ||
        driver_event.size() < event_bytes || device_event.size() < event_bytes ||
        !aligned(table.data(), 16) || !aligned(driver_event.data(), 4) || !aligned(device_event.data(), 4)) {
        return fail(Error::invalid_argument);
    }
    return PackedRing{table, driver_event, device_event, entries, event_index};
}

PackedRing::PackedRing(std::span<std::byte> table, std::span<std::byte> driver_event,
                       std::span<std::byte> device_event, std::size_t entries, bool event_index)
    : ring_{reinterpret_cast<PackedDescriptor*>(table.data())},
      driver_event_{reinterpret_cast<EventSuppression*>(driver_event.data())},
      device_event_{reinterpret_cast<EventSuppression*>(device_event.data())},
      entries_{entries},
      free_{entries},
      event_index_{event_index} {}

void PackedRing::restart() {
    free_ = entries_;
    available_ = {};
    used_ = {};
    untold_ = 0;
    chains_ = {};
    broken_ = false;
}

Result<std::uint16_t> PackedRing::make_available(std::uint16_t id, std::span<const Descriptor> chain) {
    if (chain.empty() || id >= entries_ || chains_[id] != 0) {
        return fail(Error::invalid_argument);
    }
    if (chain.size() > free_) {
        return fail(Error::no_space);
    }
    const Place head = available_;
    std::uint16_t head_flags = 0;
    for (std::size_t i = 0; i < chain.size(); ++i) {
        // Available: the bits differ, and "available" equals the driver's wrap counter (2.8.1).
        const auto flags =
            static_cast<std::uint16_t>(chain[i].flags | (available_.wrap ? PackedDescriptor::flag_available
                                                                         : PackedDescriptor::flag_used));
        PackedDescriptor& place = ring_[available_.index];
        place.address = chain[i].address;
        place.length = chain[i].length;
        place.id = id;
        if (i == 0) {
            head_flags = flags;
        } else {
            place.flags = flags;
        }
        available_.advance(1, entries_);
    }
    chains_[id] = static_cast<std::uint16_t>(chain.size());
    free_ -= chain.size();
    untold_ = static_cast<std::uint16_t>(untold_ + chain.size());
    // The device stops at the first descriptor until these change.
    dma::publish(ring_[head.index].flags, head_flags);
    return available_.wire();
}

bool PackedRing::wants_doorbell() {
    const std::uint16_t made = std::exchange(untold_, std::uint16_t{0});
    const std::uint16_t flags = dma::observe_after_publish(device_event_->flags) & 3;
    if (flags != EventSuppression::at_descriptor || !event_index_) {
        return flags != EventSuppression::disable;
    }
    const std::uint16_t asked = dma::observe(device_event_->descriptor);
    auto event = static_cast<std::uint16_t>(asked & ~EventSuppression::wrap);
    if (((asked & EventSuppression::wrap) != 0) != available_.wrap) {
        event = static_cast<std::uint16_t>(event - entries_);
    }
    return dma::event_passed(event, static_cast<std::uint16_t>(available_.index - made), available_.index);
}

bool PackedRing::is_used(std::uint16_t flags) const {
    return ((flags & PackedDescriptor::flag_available) != 0) == used_.wrap &&
           ((flags & PackedDescriptor::flag_used) != 0) == used_.wrap;
}

bool PackedRing::rearm() {
    if (event_index_) {
        driver_event_->descriptor = used_.wire();
        dma::publish(driver_event_->flags, EventSuppression::at_descriptor);
    }
    return !broken_ && free_ != entries_ && is_used(dma::observe_after_publish(ring_[used_.index].flags));
}

std::optional<Used> PackedRing::next_used() {
    const PackedDescriptor& place = ring_[used_.index];
    if (broken_ || free_ == entries_ || !is_used(dma::observe(place.flags))) {
        return std::nullopt;
    }
    const Used used{place.id, place.length};
    if (used.id >= entries_ || chains_[used.id] == 0) {
        broken_ = true;
        return used;
    }
    const std::size_t length = std::exchange(chains_[used.id], std::uint16_t{0});
    free_ += length;
    used_.advance(length, entries_);
    return used;
}

}  // namespace pv::virtio
