// virtio-blk requests laid out in memory (VIRTIO 1.2, section 5.2.6): header, data, status, as one chain
// each.
// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <variant>

#include "base/address.hpp"
#include "base/result.hpp"
#include "device/virtio/packed_ring.hpp"
#include "device/virtio/split_ring.hpp"

namespace pv::virtio {

/// How requests are laid out, from the queue's size and the device's limits.
struct RequestShape {
    std::size_t entries = 0;        ///< of the virtqueue
    std::size_t slots = 0;          ///< requests at once
    std::size_t segments = 0;       ///< data segments a request may have
    std::size_t segment_bytes = 0;  ///< of one segment at most
    bool indirect = false;

    [[nodiscard]] std::size_t chain() const { return segments + 2; }

    [[nodiscard]] std::size_t transfer() const { return segments * segment_bytes; }
};

/// What fits a queue of `entries`, for a device that takes `segment_limit` segments (0 = does not say) of
/// `size_limit` bytes (0 = does not say). Errors: not_supported when not one request fits.
[[nodiscard]] Result<RequestShape> request_shape(std::size_t entries, bool indirect,
                                                 std::uint32_t segment_limit, std::uint32_t size_limit,
                                                 std::size_t slot_limit);

/// Memory of one kind the device sees.
struct Shared {
    std::span<std::byte> bytes;
    BusAddress bus;
};

/// What of a request the device reads beside its data: a slot's share of the headers.
struct RequestHead {
    BlockHeader header;
    BlockRange range;  ///< of a discard or a write-zeroes
};

static_assert(sizeof(RequestHead) == 32);

/// Headers, status bytes and indirect tables, one a slot.
struct RequestMemory {
    Shared headers;   ///< RequestHead a slot; the device reads
    Shared statuses;  ///< 1 byte a slot; the device writes
    Shared tables;    ///< chain() descriptors a slot when indirect, else unused; the device reads
};

/// Data of a request; length 0 for a flush.
struct RequestData {
    BusAddress bus;
    std::size_t length = 0;
    bool device_writes = false;
};

/// Segments a chain has at most, where a device wants its segments short.
inline constexpr std::size_t most_segments = 62;

/// Neither locks nor hardware. Slot numbers are chain heads, or buffer ids: what the device is given as the
/// id. Of two calls of `write`, the first one's slot is made available before the second.
class RequestRing {
  public:
    using Ring = std::variant<SplitRing, PackedRing>;

    RequestRing(const Ring& ring, const RequestShape& shape, const RequestMemory& memory)
        : ring_{ring}, shape_{shape}, memory_{memory} {}

    /// Writes the chain of `slot` (below shape.slots), which the device does not see before make_available.
    /// `range`: what a discard or a write-zeroes is about, carried as its data. Error: invalid_argument when
    /// the data needs more segments than a chain has.
    [[nodiscard]] Result<> write(std::size_t slot, BlockRequest type, std::uint64_t sector,
                                 const RequestData& data, const BlockRange* range = nullptr);

    /// Returns what a doorbell announces.
    std::uint16_t make_available(std::size_t slot);

    [[nodiscard]] std::optional<Used> next_used(std::size_t outstanding);

    /// See SplitRing.
    [[nodiscard]] bool wants_doorbell() {
        return std::visit([](auto& ring) { return ring.wants_doorbell(); }, ring_);
    }

    [[nodiscard]] bool rearm() {
        return std::visit([](auto& ring) { return ring.rearm(); }, ring_);
    }

    [[nodiscard]] bool broken() const {
        return std::visit([](const auto& ring) { return ring.broken(); }, ring_);
    }

    /// The device was reset and the ring's memory is zero again.
    void restart() {
        std::visit([](auto& ring) { ring.restart(); }, ring_);
    }

    /// The status byte the device left for `slot`: its word. 0xff while it left none.
    [[nodiscard]] std::uint8_t status(std::size_t slot) const;

    [[nodiscard]] const RequestShape& shape() const { return shape_; }

    [[nodiscard]] bool packed() const { return std::holds_alternative<PackedRing>(ring_); }

    /// Descriptor of `slot`'s chain that its memory begins with: what misbehave/ changes. Not before `write`.
    [[nodiscard]] Descriptor& head(std::size_t slot);

  private:
    /// Descriptor `position` of the chain as `write` makes it: in its place, or staged for it.
    void put(std::size_t slot, std::size_t position, const Descriptor& descriptor);
    [[nodiscard]] std::uint16_t index(std::size_t slot, std::size_t position) const;

    Ring ring_;
    RequestShape shape_;
    RequestMemory memory_;
    std::array<Descriptor, most_segments + 2>
        staged_{};  ///< of a packed ring: the chain that was written last
    std::size_t staged_length_ = 0;
};

}  // namespace pv::virtio
