// virtio-blk requests laid out in memory: header, data, status, as one chain each.
// SPDX-License-Identifier: MIT
#include "device/virtio/request_ring.hpp"

#include <algorithm>

namespace pv::virtio {
namespace {

/// A request this long keeps a device busy enough; longer ones are split.
constexpr std::size_t largest_transfer = std::size_t{1} << 20;
constexpr std::uint8_t no_status = 0xff;

}  // namespace

Result<RequestShape> request_shape(std::size_t entries, bool indirect, std::uint32_t segment_limit,
                                   std::uint32_t size_limit, std::size_t slot_limit) {
    RequestShape shape{.entries = entries, .indirect = indirect};
    shape.segment_bytes =
        size_limit == 0 ? largest_transfer : std::min<std::size_t>(size_limit, largest_transfer);
    // Segments are whole sectors, so that every split falls on one.
    shape.segment_bytes -= shape.segment_bytes % sector_size;
    if (shape.segment_bytes == 0) {
        return fail(Error::not_supported);
    }
    shape.segments =
        std::min((largest_transfer + shape.segment_bytes - 1) / shape.segment_bytes, most_segments);
    if (segment_limit != 0) {
        shape.segments = std::min<std::size_t>(shape.segments, segment_limit);
    }
    if (!indirect) {
        shape.segments = std::min(shape.segments, entries < 3 ? 0 : entries - 2);
    }
    if (shape.segments == 0) {
        return fail(Error::not_supported);
    }
    shape.slots = std::min(indirect ? entries : entries / shape.chain(), slot_limit);
    return shape;
}

void RequestRing::put(std::size_t slot, std::size_t position, const Descriptor& descriptor) {
    if (shape_.indirect) {
        const std::size_t place = slot * shape_.chain() + position;
        if (!packed()) {
            reinterpret_cast<Descriptor*>(memory_.tables.bytes.data())[place] = descriptor;
            return;
        }
        // In the order of the table, without links (2.8.7).
        auto& packed = reinterpret_cast<PackedDescriptor*>(memory_.tables.bytes.data())[place];
        packed.address = descriptor.address;
        packed.length = descriptor.length;
        packed.id = std::uint16_t{0};
        packed.flags = static_cast<std::uint16_t>(descriptor.flags & ~Descriptor::flag_next);
    } else if (auto* split = std::get_if<SplitRing>(&ring_)) {
        split->descriptor(index(slot, position)) = descriptor;
    } else {
        staged_[position] = descriptor;
        staged_length_ = position + 1;
    }
}

Descriptor& RequestRing::head(std::size_t slot) {
    auto* split = std::get_if<SplitRing>(&ring_);
    return split != nullptr ? split->descriptor(slot) : staged_[0];
}

// Heads come first, so that a head is its slot's number; the rest of each chain lies behind them.
std::uint16_t RequestRing::index(std::size_t slot, std::size_t position) const {
    if (shape_.indirect) {
        return static_cast<std::uint16_t>(position);
    }
    return static_cast<std::uint16_t>(
        position == 0 ? slot : shape_.slots + slot * (shape_.chain() - 1) + position - 1);
}

Result<> RequestRing::write(std::size_t slot, BlockRequest type, std::uint64_t sector,
                            const RequestData& given, const BlockRange* range) {
    RequestData data = given;
    if (slot < shape_.slots && range != nullptr) {
        data = {memory_.headers.bus + slot * sizeof(RequestHead) + offsetof(RequestHead, range),
                sizeof *range, false};
    }
    const std::size_t segments = (data.length + shape_.segment_bytes - 1) / shape_.segment_bytes;
    if (slot >= shape_.slots || segments > shape_.segments) {
        return fail(Error::invalid_argument);
    }
    auto* own = reinterpret_cast<RequestHead*>(memory_.headers.bytes.data()) + slot;
    own->header = BlockHeader{static_cast<std::uint32_t>(type), std::uint32_t{0}, sector};
    if (range != nullptr) {
        own->range = *range;
    }
    memory_.statuses.bytes[slot] = std::byte{no_status};

    const std::size_t total = segments + 2;
    for (std::size_t position = 0; position < total; ++position) {
        Descriptor descriptor;
        std::uint16_t flags = position + 1 < total ? Descriptor::flag_next : std::uint16_t{0};
        if (position == 0) {
            descriptor.address = (memory_.headers.bus + slot * sizeof(RequestHead)).value();
            descriptor.length = static_cast<std::uint32_t>(sizeof(BlockHeader));
        } else if (position + 1 < total) {
            const std::size_t offset = (position - 1) * shape_.segment_bytes;
            descriptor.address = (data.bus + offset).value();
            descriptor.length =
                static_cast<std::uint32_t>(std::min(data.length - offset, shape_.segment_bytes));
            flags |= data.device_writes ? Descriptor::flag_device_writes : std::uint16_t{0};
        } else {
            descriptor.address = (memory_.statuses.bus + slot).value();
            descriptor.length = 1U;
            flags |= Descriptor::flag_device_writes;
        }
        descriptor.flags = flags;
        descriptor.next = position + 1 < total ? index(slot, position + 1) : std::uint16_t{0};
        put(slot, position, descriptor);
    }
    if (shape_.indirect) {
        Descriptor& whole = head(slot);
        whole.address = (memory_.tables.bus + slot * shape_.chain() * sizeof(Descriptor)).value();
        whole.length = static_cast<std::uint32_t>(total * sizeof(Descriptor));
        whole.flags = Descriptor::flag_indirect;
        whole.next = std::uint16_t{0};
        staged_length_ = 1;
    }
    return {};
}

std::uint16_t RequestRing::make_available(std::size_t slot) {
    const auto id = static_cast<std::uint16_t>(slot);
    if (auto* split = std::get_if<SplitRing>(&ring_)) {
        return split->make_available(id);
    }
    // There is room: a slot is one chain, and all chains together fit (request_shape).
    return std::get<PackedRing>(ring_)
        .make_available(id, std::span{staged_}.first(staged_length_))
        .value_or(std::uint16_t{0});
}

std::optional<Used> RequestRing::next_used(std::size_t outstanding) {
    if (auto* split = std::get_if<SplitRing>(&ring_)) {
        return split->next_used(outstanding);
    }
    return std::get<PackedRing>(ring_).next_used();
}

std::uint8_t RequestRing::status(std::size_t slot) const {
    return static_cast<std::uint8_t>(
        *static_cast<const volatile std::byte*>(memory_.statuses.bytes.data() + slot));
}

}  // namespace pv::virtio
