// virtio-blk requests laid out in memory (VIRTIO 1.2, section 5.2.6): header, data, status, as one chain
// each. SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "base/address.hpp"
#include "base/result.hpp"
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

/// Headers, status bytes and indirect tables, one a slot.
struct RequestMemory {
    Shared headers;   ///< 16 bytes a slot; the device reads
    Shared statuses;  ///< 1 byte a slot; the device writes
    Shared tables;    ///< chain() descriptors a slot when indirect, else unused; the device reads
};

/// Data of a request; length 0 for a flush.
struct RequestData {
    BusAddress bus;
    std::size_t length = 0;
    bool device_writes = false;
};

/// Neither locks nor hardware. Slot numbers are chain heads: what the device is given as the id.
class RequestRing {
  public:
    RequestRing(SplitRing ring, const RequestShape& shape, const RequestMemory& memory)
        : ring_{ring}, shape_{shape}, memory_{memory} {}

    /// Writes the chain of `slot` (below shape.slots), which the device does not see before make_available.
    /// Error: invalid_argument when the data needs more segments than a chain has.
    [[nodiscard]] Result<> write(std::size_t slot, BlockRequest type, std::uint64_t sector,
                                 const RequestData& data);

    std::uint16_t make_available(std::size_t slot) {
        return ring_.make_available(static_cast<std::uint16_t>(slot));
    }

    [[nodiscard]] std::optional<Used> next_used(std::size_t outstanding) {
        return ring_.next_used(outstanding);
    }

    [[nodiscard]] bool broken() const { return ring_.broken(); }

    /// The status byte the device left for `slot`: its word. 0xff while it left none.
    [[nodiscard]] std::uint8_t status(std::size_t slot) const;

    [[nodiscard]] const RequestShape& shape() const { return shape_; }

    [[nodiscard]] SplitRing& ring() { return ring_; }

  private:
    [[nodiscard]] Descriptor& place(std::size_t slot, std::size_t position);
    [[nodiscard]] std::uint16_t index(std::size_t slot, std::size_t position) const;

    SplitRing ring_;
    RequestShape shape_;
    RequestMemory memory_;
};

}  // namespace pv::virtio
