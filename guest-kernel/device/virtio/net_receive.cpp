// The receive queue of a virtio-net device.
// SPDX-License-Identifier: MIT
#include "device/virtio/net_receive.hpp"

#include <cstring>
#include <new>
#include <utility>

namespace pv::virtio {

Result<std::unique_ptr<NetReceive>> NetReceive::create(marker::Device device, std::uint16_t number,
                                                       std::size_t entries, bool mergeable) {
    NetRing ring = PV_TRY(NetRing::create(device, number, entries));
    auto buffers =
        PV_TRY(dma::UntoldBuffer::allocate(device, entries * buffer_bytes, dma::Direction::from_device));
    Vector<bool> with_device;
    PV_TRY(with_device.reserve(entries));
    for (std::size_t i = 0; i < entries; ++i) {
        PV_TRY(with_device.push_back(false));
    }
    std::unique_ptr<NetReceive> queue{new (std::nothrow) NetReceive{std::move(ring), std::move(buffers),
                                                                    std::move(with_device), mergeable}};
    if (queue == nullptr) {
        return fail(Error::out_of_memory);
    }
    return queue;
}

NetReceive::NetReceive(NetRing&& ring, dma::UntoldBuffer&& buffers, Vector<bool>&& with_device,
                       bool mergeable)
    : ring_{std::move(ring)},
      untold_buffers_{std::move(buffers)},
      with_device_{std::move(with_device)},
      mergeable_{mergeable} {}

std::span<std::byte> NetReceive::buffer(std::uint16_t id) const {
    return buffers_.bytes().subspan(id * buffer_bytes, buffer_bytes);
}

void NetReceive::fill() {
    buffers_ = untold_buffers_.take();
    for (std::size_t i = 0; i < ring_.entries(); ++i) {
        Descriptor& descriptor = ring_.ring().descriptor(i);
        descriptor.address = (buffers_.bus() + i * buffer_bytes).value();
        descriptor.length = static_cast<std::uint32_t>(buffer_bytes);
        descriptor.flags = Descriptor::flag_device_writes;
        descriptor.next = std::uint16_t{0};
        post(static_cast<std::uint16_t>(i));
    }
    ring_.ring_doorbell();
}

void NetReceive::post(std::uint16_t id) {
    with_device_[id] = true;
    ++posted_;
    ring_.make_available(id);
}

std::optional<NetReceive::Filled> NetReceive::next() {
    if (ahead_) {
        return std::exchange(ahead_, std::nullopt);
    }
    const std::optional<Used> used = ring_.ring().next_used(posted_);
    if (!used) {
        if (ring_.ring().broken()) {
            lie_ = "its used index moved by more than what it holds";
        }
        return std::nullopt;
    }
    if (used->id >= ring_.entries() || !with_device_[used->id]) {
        lie_ = "it gave back a buffer it does not hold";
        return std::nullopt;
    }
    const auto id = static_cast<std::uint16_t>(used->id);
    with_device_[id] = false;
    --posted_;
    if (used->length > buffer_bytes) {
        lie_ = "it says it wrote more than a buffer holds";
        return std::nullopt;
    }
    return Filled{id, used->length};
}

bool NetReceive::pending() {
    if (!ahead_ && lie_.empty()) {
        ahead_ = next();
    }
    return ahead_.has_value() || !lie_.empty();
}

std::size_t NetReceive::receive(std::size_t budget, FunctionRef<void(const net::Frame&)> take) {
    std::size_t count = 0;
    while (count < budget && lie_.empty()) {
        const std::optional<Filled> first = next();
        if (!first || !take_one(*first, take)) {
            break;
        }
        ++count;
    }
    return count;
}

bool NetReceive::take_one(const Filled& first, FunctionRef<void(const net::Frame&)> take) {
    NetHeader header;
    if (first.length < sizeof header) {
        lie_ = "a frame is shorter than its header";
        return false;
    }
    // Once: the device may change it under our eyes.
    std::memcpy(&header, buffer(first.id).data(), sizeof header);
    const std::size_t buffers = mergeable_ ? std::size_t{header.buffers} : 1;
    if (buffers == 0 || buffers > most_parts) {
        lie_ = "a frame is spread over a number of buffers that cannot be";
        return false;
    }
    std::array<std::uint16_t, most_parts> ids{first.id};
    std::array<std::span<const std::byte>, most_parts> parts;
    parts[0] = buffer(first.id).first(first.length).subspan(sizeof header);
    std::size_t length = parts[0].size();
    for (std::size_t i = 1; i < buffers; ++i) {
        // All buffers of a frame are given back before the index moves (5.1.6.4.2).
        const std::optional<Filled> more = next();
        if (!more) {
            lie_ = lie_.empty() ? "a frame's buffers were not all given back" : lie_;
            return false;
        }
        ids[i] = more->id;
        parts[i] = buffer(more->id).first(more->length);
        length += parts[i].size();
    }
    take(net::Frame{.parts = std::span{parts}.first(buffers),
                    .length = length,
                    .sum_vouched = (header.flags & NetHeader::flag_sum_is_good) != 0,
                    .sum_partial = (header.flags & NetHeader::flag_needs_sum) != 0});
    ++frames_;
    bytes_ += length;
    for (std::size_t i = 0; i < buffers; ++i) {
        post(ids[i]);
    }
    return true;
}

void NetReceive::release() {
    ring_.release();
    if (buffers_) {
        buffers_.release();
    }
}

}  // namespace pv::virtio
