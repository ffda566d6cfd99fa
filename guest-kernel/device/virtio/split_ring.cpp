// Split virtqueue in memory: descriptor table, available ring, used ring.
// SPDX-License-Identifier: MIT
#include "device/virtio/split_ring.hpp"

#include <cstdint>
#include <utility>

#include "device/dma/shared.hpp"

namespace pv::virtio {
namespace {

bool aligned(const std::byte* address, std::size_t alignment) {
    return reinterpret_cast<std::uintptr_t>(address) % alignment == 0;
}

}  // namespace

Result<SplitRing> SplitRing::create(std::span<std::byte> table, std::span<std::byte> available,
                                    std::span<std::byte> used, std::size_t entries, bool event_index) {
    if (entries < 2 || entries > 32768 || (entries & (entries - 1)) != 0 ||
        table.size() < table_bytes(entries) || available.size() < available_bytes(entries) ||
        used.size() < used_bytes(entries) || !aligned(table.data(), 16) || !aligned(available.data(), 2) ||
        !aligned(used.data(), 4)) {
        return fail(Error::invalid_argument);
    }
    return SplitRing{table, available, used, entries, event_index};
}

SplitRing::SplitRing(std::span<std::byte> table, std::span<std::byte> available, std::span<std::byte> used,
                     std::size_t entries, bool event_index)
    : table_{reinterpret_cast<Descriptor*>(table.data())},
      available_{reinterpret_cast<RingHeader*>(available.data())},
      available_ring_{reinterpret_cast<le16*>(available.data() + sizeof(RingHeader))},
      used_{reinterpret_cast<RingHeader*>(used.data())},
      used_ring_{reinterpret_cast<UsedElement*>(used.data() + sizeof(RingHeader))},
      entries_{entries},
      event_index_{event_index} {}

std::uint16_t SplitRing::make_available(std::uint16_t head) {
    available_ring_[available_index_ & (entries_ - 1)] = head;
    ++available_index_;
    dma::publish(available_->index, available_index_);
    return available_index_;
}

bool SplitRing::wants_doorbell() {
    const std::uint16_t before = std::exchange(told_, available_index_);
    if (event_index_) {
        return dma::event_passed(dma::observe_after_publish(available_event()), before, available_index_);
    }
    constexpr std::uint16_t no_notify = 1;
    return (dma::observe_after_publish(used_->flags) & no_notify) == 0;
}

bool SplitRing::rearm() {
    if (event_index_) {
        dma::publish(used_event(), used_index_);
    }
    return !broken_ && dma::observe_after_publish(used_->index) != used_index_;
}

std::optional<Used> SplitRing::next_used(std::size_t outstanding) {
    const auto ahead = static_cast<std::uint16_t>(dma::observe(used_->index) - used_index_);
    broken_ = broken_ || ahead > outstanding;
    if (ahead == 0 || broken_) {
        return std::nullopt;
    }
    const UsedElement& element = used_ring_[used_index_ & (entries_ - 1)];
    ++used_index_;
    return Used{element.id, element.length};
}

}  // namespace pv::virtio
