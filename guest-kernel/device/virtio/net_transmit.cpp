// The transmit queue of a virtio-net device.
// SPDX-License-Identifier: MIT
#include "device/virtio/net_transmit.hpp"

#include <cstring>
#include <new>
#include <utility>

#include "base/marker.hpp"

namespace pv::virtio {

Result<std::unique_ptr<NetTransmit>> NetTransmit::create(marker::Device device, std::uint16_t number,
                                                         std::size_t entries) {
    static_assert(slot_bytes >= sizeof(NetHeader) + net::largest_frame);
    NetRing ring = PV_TRY(NetRing::create(device, number, entries));
    auto slots = PV_TRY(dma::UntoldBuffer::allocate(device, entries * slot_bytes, dma::Direction::to_device));
    Vector<Slot> books;
    Vector<std::uint16_t> free;
    PV_TRY(books.reserve(entries));
    PV_TRY(free.reserve(entries));
    for (std::size_t i = entries; i-- > 0;) {
        PV_TRY(books.push_back(Slot{}));
        PV_TRY(free.push_back(static_cast<std::uint16_t>(i)));
    }
    std::unique_ptr<NetTransmit> queue{
        new (std::nothrow) NetTransmit{std::move(ring), std::move(slots), std::move(books), std::move(free)}};
    if (queue == nullptr) {
        return fail(Error::out_of_memory);
    }
    return queue;
}

NetTransmit::NetTransmit(NetRing&& ring, dma::UntoldBuffer&& slots, Vector<Slot>&& books,
                         Vector<std::uint16_t>&& free)
    : ring_{std::move(ring)},
      untold_slots_{std::move(slots)},
      books_{std::move(books)},
      free_{std::move(free)},
      ring_entries_{ring_.entries()} {}

Result<> NetTransmit::send(std::size_t length, FunctionRef<net::SumRequest(std::span<std::byte>)> fill) {
    if (length > slot_bytes - sizeof(NetHeader)) {
        return fail(Error::out_of_range);
    }
    if (free_.empty() && !reclaim()) {
        starved_ = true;
        ++full_;
        return fail(Error::busy);
    }
    if (free_.empty() || !lie_.empty()) {
        return fail(Error::busy);
    }
    if (!slots_) {
        slots_ = untold_slots_.take();
    }
    const std::uint16_t id = free_[free_.size() - 1];
    free_.pop_back();
    const std::span<std::byte> slot = slots_.bytes().subspan(id * slot_bytes, sizeof(NetHeader) + length);
    const net::SumRequest sum = fill(slot.subspan(sizeof(NetHeader)));
    NetHeader header{};
    if (sum.start != 0) {
        header.flags = NetHeader::flag_needs_sum;
        header.sum_start = sum.start;
        header.sum_offset = sum.offset;
    }
    std::memcpy(slot.data(), &header, sizeof header);

    Descriptor& descriptor = ring_.ring().descriptor(id);
    descriptor.address = (slots_.bus() + id * slot_bytes).value();
    descriptor.length = static_cast<std::uint32_t>(slot.size());
    descriptor.flags = std::uint16_t{0};
    descriptor.next = std::uint16_t{0};
    books_[id] = Slot{.since = now(), .turn = ++turn_};
    marker::command_submit(ring_.device(), ring_.number(), command(id), marker::Operation::send, deadline, 0);
    ring_.make_available(id);
    return {};
}

bool NetTransmit::reclaim() {
    bool any = false;
    // At most one pass of the ring a call: a device that keeps it full cannot hold the processor here.
    for (std::size_t i = 0; i < ring_entries_ && lie_.empty(); ++i) {
        const std::optional<Used> used = ring_.ring().next_used(outstanding());
        if (!used) {
            if (ring_.ring().broken()) {
                lie_ = "its used index moved by more than what it holds";
            }
            break;
        }
        if (used->id >= ring_entries_ || books_[used->id].turn == 0) {
            marker::command_refused(ring_.device(), ring_.number(), used->id);
            lie_ = "it gave back a frame it does not hold";
            break;
        }
        const auto id = static_cast<std::uint16_t>(used->id);
        marker::command_complete(ring_.device(), ring_.number(), command(id), 0);
        ++frames_;
        bytes_ += std::uint32_t{ring_.ring().descriptor(id).length} - sizeof(NetHeader);
        books_[id].turn = 0;
        (void)free_.push_back(id);  // there is room for all of them
        any = true;
    }
    return any;
}

bool NetTransmit::room_again() {
    if (starved_) {
        (void)reclaim();
        if (!free_.empty()) {
            starved_ = false;
            return true;
        }
    }
    return false;
}

std::optional<Instant> NetTransmit::oldest() const {
    std::optional<Instant> oldest;
    for (const Slot& slot : books_) {
        if (slot.turn != 0 && (!oldest || slot.since < *oldest)) {
            oldest = slot.since;
        }
    }
    return oldest;
}

void NetTransmit::give_up_oldest() {
    const std::optional<Instant> since = oldest();
    for (std::size_t id = 0; id < books_.size() && since; ++id) {
        Slot& slot = books_[id];
        if (slot.turn != 0 && slot.since == *since && !std::exchange(slot.timed_out, true)) {
            marker::command_timeout(ring_.device(), ring_.number(), command(static_cast<std::uint16_t>(id)),
                                    now() - (slot.since + deadline));
        }
    }
}

void NetTransmit::release() {
    constexpr std::uint64_t reset = 1;
    for (std::size_t id = 0; id < books_.size(); ++id) {
        if (books_[id].turn != 0) {
            marker::command_failed(ring_.device(), ring_.number(), command(static_cast<std::uint16_t>(id)),
                                   reset);
            books_[id].turn = 0;
        }
    }
    ring_.release();
    if (slots_) {
        slots_.release();
    }
}

}  // namespace pv::virtio
