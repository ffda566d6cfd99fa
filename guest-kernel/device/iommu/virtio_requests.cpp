// The request queue of a virtio-iommu: one request at a time, waited for by spinning.
// SPDX-License-Identifier: MIT
#include "device/iommu/virtio_requests.hpp"

#include <cstring>
#include <new>
#include <optional>

#include "arch/processor.hpp"
#include "base/deadline.hpp"
#include "base/log.hpp"
#include "device/iommu/virtio_spec.hpp"
#include "device/virtio/regs.hpp"

namespace pv::iommu {
namespace {

using namespace literals;

/// The specification states no time; a unit that takes longer is given up.
constexpr Duration answer_deadline = 2_s;

}  // namespace

Result<std::unique_ptr<VirtioRequests>> VirtioRequests::create(marker::Device device,
                                                               const virtio::Transport& transport,
                                                               std::size_t answer) {
    using Ring = virtio::SplitRing;
    if (transport.queue_size_limit(virtio_spec::request_queue) < entries) {
        return fail(Error::corrupt);
    }
    constexpr std::size_t available = Ring::table_bytes(entries);
    constexpr std::size_t used = align_up(available + Ring::available_bytes(entries), 4);
    constexpr auto both = dma::Direction::bidirectional;
    dma::Buffer rings = PV_TRY(dma::Buffer::allocate(device, used + Ring::used_bytes(entries), both));
    dma::Buffer request = PV_TRY(dma::Buffer::allocate(device, request_max, dma::Direction::to_device));
    dma::Buffer answers = PV_TRY(dma::Buffer::allocate(device, answer, dma::Direction::from_device));
    const std::span<std::byte> bytes = rings.bytes();
    const Ring ring = PV_TRY(Ring::create(bytes.first(available), bytes.subspan(available, used - available),
                                          bytes.subspan(used), entries));
    std::unique_ptr<VirtioRequests> made{new (std::nothrow) VirtioRequests{
        device, ring, std::move(rings), std::move(request), std::move(answers)}};
    if (made == nullptr) {
        return fail(Error::out_of_memory);
    }
    return made;
}

Result<> VirtioRequests::enable(const virtio::Transport& transport) {
    using Ring = virtio::SplitRing;
    constexpr std::size_t available = Ring::table_bytes(entries);
    constexpr std::size_t used = align_up(available + Ring::available_bytes(entries), 4);
    const virtio::QueueAreas areas{rings_.bus(), rings_.bus() + available, rings_.bus() + used};
    marker::queue_areas(device_, virtio_spec::request_queue, areas.driver, areas.device);
    marker::queue_create(device_, marker::QueueKind::virtio_split, virtio_spec::request_queue, entries,
                         areas.table);
    doorbell_ = PV_TRY(transport.enable_queue(virtio_spec::request_queue, entries, areas,
                                              virtio::CommonRegisters::no_vector));
    return {};
}

Result<> VirtioRequests::run(std::span<const std::byte> request, std::span<std::byte> answer) {
    if (request.size() > request_max || answer.size() > answer_.bytes().size() ||
        answer.size() < sizeof(virtio_spec::RequestTail)) {
        return fail(Error::invalid_argument);
    }
    const std::size_t tail = answer.size() - sizeof(virtio_spec::RequestTail);
    const Deadline deadline = Deadline::after(answer_deadline);
    return state_.with([&](State& state) -> Result<> {
        if (state.failed) {
            return fail(Error::device_failed);
        }
        std::memcpy(request_.bytes().data(), request.data(), request.size());
        answer_.bytes()[tail] = std::byte{virtio_spec::status_none};
        using virtio::Descriptor;
        state.ring.descriptor(0) = {request_.bus().value(), static_cast<std::uint32_t>(request.size()),
                                    Descriptor::flag_next, 1};
        state.ring.descriptor(1) = {answer_.bus().value(), static_cast<std::uint32_t>(answer.size()),
                                    Descriptor::flag_device_writes, 0};
        const std::uint16_t available = state.ring.make_available(0);
        marker::doorbell(device_, marker::QueueKind::virtio_split, virtio_spec::request_queue, available);
        doorbell_.ring(virtio_spec::request_queue);
        std::optional<virtio::Used> used;
        const std::uint64_t wait = marker::next_wait();
        marker::wait_begin(wait, marker::WaitKind::memory, deadline.remaining(),
                           rings_.pages().physical().value());
        while (true) {
            const bool last = deadline.expired();
            used = state.ring.next_used(1);
            if (used || state.ring.broken() || last) {
                break;
            }
            arch::relax();
        }
        marker::wait_end(wait, used ? marker::WaitResult::satisfied : marker::WaitResult::timed_out);
        if (!used) {
            // What it may still answer would be taken for the answer to the next request.
            state.failed = true;
            log::error("virtio-iommu: no answer to request {} within {}; the unit is given up",
                       std::to_integer<unsigned>(request[0]), answer_deadline);
            return fail(Error::timed_out);
        }
        std::memcpy(answer.data(), answer_.bytes().data(), answer.size());
        return answer[tail] == std::byte{virtio_spec::status_ok} ? Result<>{} : fail(Error::io);
    });
}

void VirtioRequests::release() {
    marker::queue_delete(device_, marker::QueueKind::virtio_split, virtio_spec::request_queue);
    rings_.release();
    request_.release();
    answer_.release();
}

}  // namespace pv::iommu
