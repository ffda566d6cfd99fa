// Split virtqueue in memory (VIRTIO 1.2, section 2.7): descriptor table, available ring, used ring.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "base/result.hpp"
#include "device/virtio/spec.hpp"

namespace pv::virtio {

/// What the used ring says is done. Both numbers are the device's word: the caller judges them.
struct Used {
    std::uint32_t id;
    std::uint32_t length;

    bool operator==(const Used&) const = default;
};

/// The driver's half of a virtqueue's protocol. Owns no memory and knows neither locks nor devices; not
/// synchronised. `entries` is a power of two, 2 to 32768 (2.7).
class SplitRing {
  public:
    /// Bytes of the three parts for `entries` (2.7.5, 2.7.6, 2.7.8; the event fields at the ends included, so
    /// that a device that writes them stays inside).
    [[nodiscard]] static constexpr std::size_t table_bytes(std::size_t entries) {
        return sizeof(Descriptor) * entries;
    }

    [[nodiscard]] static constexpr std::size_t available_bytes(std::size_t entries) {
        return sizeof(RingHeader) + sizeof(le16) * entries + sizeof(le16);
    }

    [[nodiscard]] static constexpr std::size_t used_bytes(std::size_t entries) {
        return sizeof(RingHeader) + sizeof(UsedElement) * entries + sizeof(le16);
    }

    /// `table` is aligned to 16, `available` to 2, `used` to 4; all zero; each as long as above.
    /// Errors: invalid_argument when one of that does not hold.
    /// `event_index`: VIRTIO_F_EVENT_IDX was agreed on.
    [[nodiscard]] static Result<SplitRing> create(std::span<std::byte> table, std::span<std::byte> available,
                                                  std::span<std::byte> used, std::size_t entries,
                                                  bool event_index = false);

    [[nodiscard]] std::size_t entries() const { return entries_; }

    /// Descriptor `index` (taken modulo the table's size), to be written before its chain is made available.
    [[nodiscard]] Descriptor& descriptor(std::size_t index) { return table_[index & (entries_ - 1)]; }

    /// Hands the chain beginning at `head` to the device: everything written before is visible to it first.
    /// Returns the new available index, which is what a doorbell announces.
    std::uint16_t make_available(std::uint16_t head);

    /// Whether the device wants to be told of what was made available since this was last asked: otherwise it
    /// looks by itself (2.7.7, 2.7.10). Its word: the worst it does is that it does not learn of requests.
    [[nodiscard]] bool wants_doorbell();

    /// After the last next_used: asks for an interrupt at the next chain that is finished, where events carry
    /// indexes (2.7.7.2). True when one was finished meanwhile: look again.
    [[nodiscard]] bool rearm();

    /// The next finished chain, nullopt when there is none. `outstanding` is how many chains the device
    /// holds.
    [[nodiscard]] std::optional<Used> next_used(std::size_t outstanding);

    /// The device's index once moved by more than what was outstanding: nothing is taken from the ring any
    /// more, until the device is reset and the ring made anew.
    [[nodiscard]] bool broken() const { return broken_; }

    /// The device was reset and the memory is zero again.
    void restart() {
        available_index_ = used_index_ = told_ = 0;
        broken_ = false;
    }

    [[nodiscard]] std::uint16_t available_index() const { return available_index_; }

  private:
    SplitRing(std::span<std::byte> table, std::span<std::byte> available, std::span<std::byte> used,
              std::size_t entries, bool event_index);

    /// Where the driver says from which used index on it wants an interrupt: behind the available ring.
    [[nodiscard]] le16& used_event() { return available_ring_[entries_]; }

    /// Where the device says from which available index on it wants a doorbell: behind the used ring.
    [[nodiscard]] const le16& available_event() const {
        return *reinterpret_cast<const le16*>(used_ring_ + entries_);
    }

    Descriptor* table_;
    RingHeader* available_;
    le16* available_ring_;
    RingHeader* used_;
    UsedElement* used_ring_;
    std::size_t entries_;
    std::uint16_t available_index_ = 0;
    std::uint16_t used_index_ = 0;  ///< next one to look at
    std::uint16_t told_ = 0;        ///< available index when wants_doorbell was last asked
    bool event_index_;
    bool broken_ = false;
};

}  // namespace pv::virtio
