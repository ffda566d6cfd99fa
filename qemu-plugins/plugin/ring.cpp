// Follows descriptor chains (Virtio 1.2, 2.7 "Split Virtqueues") and reads virtio-blk's header (5.2.6).
// SPDX-License-Identifier: MIT
#include "plugin/ring.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <span>

namespace pv::plugin {
namespace {

using trace::RingFault;

/// Virtio 1.2, 2.7.5: struct virtq_desc. Little-endian, as is every host this runs on (x86-64).
struct Descriptor {
    std::uint64_t address;
    std::uint32_t length;
    std::uint16_t flags;
    std::uint16_t next;
};

static_assert(sizeof(Descriptor) == 16);

enum : std::uint16_t { flag_next = 1, flag_write = 2, flag_indirect = 4 };

/// Virtio 1.2, 5.2.6: the first 16 bytes of a request.
struct BlockHeader {
    std::uint32_t type;
    std::uint32_t reserved;
    std::uint64_t sector;
};

static_assert(sizeof(BlockHeader) == 16);

pv_operation operation_of(std::uint32_t type) {
    switch (type) {
        case 0:
            return PV_OPERATION_READ;
        case 1:
            return PV_OPERATION_WRITE;
        case 4:
            return PV_OPERATION_FLUSH;
        case 11:
            return PV_OPERATION_DISCARD;
        case 13:
            return PV_OPERATION_WRITE_ZEROES;
        default:
            return PV_OPERATION_OTHER;
    }
}

template <class T>
bool read_value(const MemoryReader& memory, std::uint64_t address, T& value) {
    return memory.read(address, std::as_writable_bytes(std::span{&value, 1}));
}

/// One walk along one chain.
class Walk {
  public:
    Walk(const Ring& ring, const MemoryReader& memory, RingSink& sink, std::uint32_t& budget)
        : ring_(ring), memory_(memory), sink_(sink), budget_(budget) {}

    /// False when the budget is used up.
    bool chain(std::uint16_t head) {
        head_ = head;
        if (!table(ring_.descriptors, ring_.entries, head, false)) {
            return false;
        }
        if (followed_) {
            request();
        }
        return true;
    }

  private:
    /// Follows a chain through one table of `entries` descriptors.
    bool table(std::uint64_t base, std::uint32_t entries, std::uint32_t index, bool indirect) {
        for (std::uint32_t seen = 0;; ++seen) {
            if (index >= entries) {
                return stop(RingFault::index_out_of_range, index);
            }
            if (seen >= entries) {
                return stop(RingFault::loop, head_);
            }
            if (budget_ == 0) {
                return false;
            }
            --budget_;
            Descriptor descriptor{};
            const std::uint64_t address = base + std::uint64_t{index} * sizeof descriptor;
            if (address < base || !read_value(memory_, address, descriptor)) {
                return stop(RingFault::outside_memory, address);
            }
            if (!indirect) {
                sink_.entry(ring_, head_, address, sizeof descriptor);
            }
            if ((descriptor.flags & flag_indirect) != 0) {
                return indirect ? stop(RingFault::nested_indirect, head_) : follow_indirect(descriptor);
            }
            buffer(descriptor);
            if ((descriptor.flags & flag_next) == 0) {
                return true;
            }
            index = descriptor.next;
        }
    }

    /// 2.7.5.3: a table of its own, whose chain begins with its first entry and ends the whole chain.
    bool follow_indirect(const Descriptor& descriptor) {
        sink_.indirect(ring_, head_, descriptor.address, descriptor.length);
        if (descriptor.length == 0 || descriptor.length % sizeof descriptor != 0) {
            return stop(RingFault::indirect_size, descriptor.length);
        }
        // `next` has 16 bits: what lies beyond cannot be reached.
        const auto entries = std::min<std::uint32_t>(descriptor.length / sizeof descriptor, 65'536);
        return table(descriptor.address, entries, 0, true);
    }

    void buffer(const Descriptor& descriptor) {
        const bool writes = (descriptor.flags & flag_write) != 0;
        sink_.descriptor(ring_, head_, descriptor.address, descriptor.length, writes);
        ++buffers_;
        if (writes) {
            writable_ = true;
        } else {
            if (writable_ && !reversed_) {
                reversed_ = true;
                sink_.fault(ring_, head_, RingFault::readable_after_writable, head_);
            }
            take_header(descriptor);
        }
    }

    /// The header may be spread over several buffers (2.7.4.2: no framing may be assumed).
    void take_header(const Descriptor& descriptor) {
        if (!ring_.block_requests || header_bad_ || header_length_ == header_.size()) {
            return;
        }
        const std::size_t wanted = std::min<std::size_t>(header_.size() - header_length_, descriptor.length);
        if (!memory_.read(descriptor.address, std::span{header_}.subspan(header_length_, wanted))) {
            header_bad_ = true;
            sink_.fault(ring_, head_, RingFault::outside_memory, descriptor.address);
            return;
        }
        header_length_ += wanted;
    }

    void request() {
        pv_operation operation = PV_OPERATION_OTHER;
        std::uint64_t sector = 0;
        if (header_length_ == header_.size()) {
            BlockHeader header{};
            std::memcpy(&header, header_.data(), sizeof header);
            operation = operation_of(header.type);
            sector = header.sector;
        }
        sink_.request(ring_, head_, operation, sector, buffers_);
    }

    bool stop(RingFault fault, std::uint64_t value) {
        followed_ = false;
        sink_.fault(ring_, head_, fault, value);
        return true;
    }

    const Ring& ring_;
    const MemoryReader& memory_;
    RingSink& sink_;
    std::uint32_t& budget_;
    std::uint16_t head_ = 0;
    bool followed_ = true;  ///< to its end
    bool writable_ = false, reversed_ = false, header_bad_ = false;
    std::uint32_t buffers_ = 0;
    std::size_t header_length_ = 0;
    std::array<std::byte, sizeof(BlockHeader)> header_{};
};

}  // namespace

void decode(Ring& ring, std::uint64_t available, const MemoryReader& memory, RingSink& sink) {
    const auto target = static_cast<std::uint16_t>(available);
    const auto pending = static_cast<std::uint16_t>(target - ring.next_available);
    if (available > 0xffff || pending > ring.entries) {
        // Nothing between the two can be trusted: which entries are new is not known.
        sink.fault(ring, 0, RingFault::available_jump, available);
        ring.next_available = target;
        return;
    }
    std::uint32_t budget = descriptors_per_doorbell;
    while (ring.next_available != target) {
        // 2.7.6: flags and idx, two bytes each, then the ring.
        const std::uint64_t slot = ring.next_available++ % ring.entries;
        const std::uint64_t address = ring.driver_area + 4 + 2 * slot;
        std::uint16_t head = 0;
        if (address < ring.driver_area || !read_value(memory, address, head)) {
            sink.fault(ring, 0, RingFault::outside_memory, address);
            ring.next_available = target;
            return;
        }
        if (!Walk{ring, memory, sink, budget}.chain(head)) {
            sink.unseen(ring, trace::RingUnseen::too_much);
            ring.next_available = target;
            return;
        }
    }
}

}  // namespace pv::plugin
