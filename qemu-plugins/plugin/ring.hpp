// Decodes split virtqueues: what a driver hands to its device, read from guest memory, all of it hostile.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>

#include "paravane/marker.h"
#include "paravane/trace_event.hpp"
#include "plugin/guest_memory.hpp"

namespace pv::plugin {

/// A split virtqueue as its driver set it up. Addresses are guest physical ones.
struct Ring {
    std::uint64_t bdf = 0;
    std::uint64_t number = 0;
    std::uint32_t entries = 0;         ///< a power of two, 1 to largest_ring
    std::uint64_t descriptors = 0;     ///< descriptor table
    std::uint64_t driver_area = 0;     ///< available ring
    std::uint16_t next_available = 0;  ///< the first entry not yet decoded
    bool block_requests = false;       ///< chains begin with virtio-blk's request header
};

/// Virtio 1.2, 2.7: queue size.
inline constexpr std::uint32_t largest_ring = 32'768;

constexpr bool is_ring_size(std::uint64_t entries) {
    return entries >= 1 && entries <= largest_ring && (entries & (entries - 1)) == 0;
}

/// Descriptors followed for one doorbell. A guest could otherwise announce 32,768 chains of 65,536
/// descriptors each and stop the machine. More than any driver that behaves has outstanding.
inline constexpr std::uint32_t descriptors_per_doorbell = 65'536;

/// Where what was decoded goes. `chain` is the head descriptor's index.
class RingSink {
  public:
    virtual ~RingSink() = default;

    /// Where a descriptor of the queue's own table lies, which is followed next.
    virtual void entry(const Ring& ring, std::uint16_t chain, std::uint64_t address, std::uint32_t length) {
        static_cast<void>(ring), static_cast<void>(chain), static_cast<void>(address),
            static_cast<void>(length);
    }

    virtual void descriptor(const Ring& ring, std::uint16_t chain, std::uint64_t address,
                            std::uint32_t length, bool device_writes) = 0;
    virtual void indirect(const Ring& ring, std::uint16_t chain, std::uint64_t address,
                          std::uint32_t length) = 0;
    /// The chain's end: what it asks for, and how many buffers it has.
    virtual void request(const Ring& ring, std::uint16_t chain, pv_operation operation, std::uint64_t sector,
                         std::uint32_t descriptors) = 0;
    virtual void fault(const Ring& ring, std::uint16_t chain, trace::RingFault fault,
                       std::uint64_t value) = 0;
    /// Entries of this queue were not decoded, or none will be.
    virtual void unseen(const Ring& ring, trace::RingUnseen reason) = 0;
};

/// Decodes the entries from ring.next_available up to `available` (the driver's index, about to be notified)
/// and advances next_available to it, whatever happened. Work is bounded by descriptors_per_doorbell.
void decode(Ring& ring, std::uint64_t available, const MemoryReader& memory, RingSink& sink);

}  // namespace pv::plugin
