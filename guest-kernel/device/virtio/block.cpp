// A virtio-blk device: its requests, what its recovery does with it, and put to rest again.
// SPDX-License-Identifier: MIT
#include "device/virtio/block.hpp"

#include <new>
#include <utility>

#include "arch/processor.hpp"
#include "base/format.hpp"
#include "base/log.hpp"
#include "device/iommu/registry.hpp"
#include "device/virtio/spec.hpp"
#include "misbehave/device_fault.hpp"

namespace pv::virtio {
namespace {

using namespace literals;

constexpr std::uint64_t failure_log_limit = 8;

}  // namespace

Block::Block(pci::Function function, unsigned number, const Patience& patience, const BlockOptions& options)
    : name_length_{format::to(name_, "virtio-blk{}", number).size()},
      pci_{function, Block::name()},
      patience_{patience},
      options_{options} {}

Block::~Block() = default;

Result<std::unique_ptr<block::Controller>> Block::create(pci::Function function, unsigned number,
                                                         const Patience& patience,
                                                         const BlockOptions& options) {
    std::unique_ptr<Block> block{new (std::nothrow) Block{function, number, patience, options}};
    if (block == nullptr) {
        return fail(Error::out_of_memory);
    }
    if (const Result<> up = block->bring_up(); !up) {
        log::error("{}: not usable: {}", block->name(), up.error());
        block->shut_down(Deadline::after(1_s));
        return fail(up.error());
    }
    return std::unique_ptr<block::Controller>{std::move(block)};
}

void Block::raise_queue(void* queue) {
    if (!misbehave::happens(misbehave::DeviceFault::lost_interrupt)) {
        static_cast<BlockQueue*>(queue)->interrupt();
    }
}

void Block::raise_configuration(void* block) {
    if (Recovery* recovery = static_cast<Block*>(block)->listener_.load(std::memory_order_acquire)) {
        recovery->configuration_interrupt();
    }
}

void Block::raise_all(void* block) {
    for (auto& queue : static_cast<Block*>(block)->queues_) {
        queue->interrupt();
    }
    // Nothing says what the one interrupt was about: of the configuration only a bad end is looked for.
    if (static_cast<Block*>(block)->transport_->health() != Health::good) {
        raise_configuration(block);
    }
}

Result<block::Ticket> Block::start(const block::Work& work) {
    const auto index = static_cast<std::uint16_t>(arch::current_cpu() % queues_.size());
    BlockQueue& queue = *queues_[index];
    block::Submission submission{.operation = work.operation,
                                 .first = work.first,
                                 .blocks = work.blocks,
                                 .request = work.request,
                                 .deadline = work.deadline,
                                 .attempt = work.attempt};
    const auto room = work.wait ? BlockQueue::Room::wait : BlockQueue::Room::now;
    const std::uint64_t sectors = geometry_.block_size / sector_size;
    BlockRange range;
    range.sector = work.first * sectors;
    range.sectors = static_cast<std::uint32_t>(work.blocks * sectors);  // at most what the device takes
    range.flags = 0U;
    switch (work.operation) {
        case marker::Operation::read:
        case marker::Operation::write: {
            const bool writes = work.operation == marker::Operation::write;
            submission.data = PV_TRY(dma::Mapping::map(marker_device(), work.data->pages, work.data->offset,
                                                       work.data->length, block::data_direction(writes),
                                                       work.room_until()));
            transport_->misbehave();
            return block::Ticket{PV_TRY(queue.start(writes ? BlockRequest::write : BlockRequest::read,
                                                    std::move(submission), room)),
                                 index};
        }
        case marker::Operation::discard:
            return block::Ticket{
                PV_TRY(queue.start(BlockRequest::discard, std::move(submission), room, &range)), index};
        case marker::Operation::write_zeroes:
            return block::Ticket{
                PV_TRY(queue.start(BlockRequest::write_zeroes, std::move(submission), room, &range)), index};
        default:
            return block::Ticket{PV_TRY(queue.start(BlockRequest::flush, std::move(submission), room)),
                                 index};
    }
}

Result<> Block::finish(block::Ticket ticket) {
    const auto outcome = queues_[ticket.queue]->wait(ticket.id);
    if (!outcome) {
        return fail(outcome.error());
    }
    if (outcome->status != static_cast<std::uint8_t>(BlockStatus::ok)) {
        if (failures_.fetch_add(1, std::memory_order_relaxed) < failure_log_limit) {
            log::warning("{}: the device failed a request: status {}", name(), outcome->status);
        }
        return fail(Error::io);
    }
    return {};
}

block::CommandCounts Block::counts() {
    block::CommandCounts sum;
    for (auto& queue : queues_) {
        sum.add(queue->counts());
    }
    return sum;
}

void Block::print_status() {
    std::uint64_t lies = 0;
    for (auto& queue : queues_) {
        queue->print_status();
        lies += queue->lies();
    }
    if (recovery_ != nullptr) {
        const Recovery::Counts& counts = recovery_->counts();
        log::info("status: {}: {}; {} recoveries, {} resets, {} lies", name(),
                  recovery_->dead()        ? "given up"
                  : recovery_->under_way() ? "a recovery is under way"
                                           : "in service",
                  counts.begun.load(), counts.resets.load(), lies);
    }
}

bool Block::lied() {
    bool lied = false;
    for (auto& queue : queues_) {
        lied = queue->lied() || lied;
    }
    return lied;
}

std::optional<Instant> Block::overdue_since() {
    std::optional<Instant> since;
    for (auto& queue : queues_) {
        const auto one = queue->overdue_since();
        since = one && (!since || *one < *since) ? one : since;
    }
    return since;
}

void Block::configuration_changed() {
    const auto current = read_configuration();
    if (!current) {
        log::error("{}: its configuration cannot be read: {}", name(), current.error());
    } else if (current->capacity != configuration_.capacity) {
        // Who uses it was told its size; what lies beyond the new one fails by itself.
        log::warning("{}: its capacity went from {} to {} sectors; it is used as it was", name(),
                     configuration_.capacity, current->capacity);
        configuration_.capacity = current->capacity;
    }
}

void Block::suspend() {
    for (auto& queue : queues_) {
        queue->suspend();
    }
}

void Block::resume() {
    for (auto& queue : queues_) {
        queue->resume();
    }
}

Result<> Block::reset(marker::ResetReason reason) {
    marker::device_reset(marker_device(), reason);
    const Result<> quiet = transport_->reset(Deadline::after(patience_.reset));
    if (!quiet) {
        log::error("{}: {}", name(),
                   quiet.error() == Error::timed_out ? "its reset is not done in time" : "it is gone");
    }
    return quiet;
}

void Block::empty(Error error) {
    for (auto& queue : queues_) {
        // What it answered before the reset is in the ring still.
        queue->interrupt();
        queue->fail_all(error);
        queue->renew();
    }
}

void Block::close(std::string_view why) {
    log::error("{}: given up: {}", name(), why);
    for (auto& queue : queues_) {
        queue->close({});
    }
}

bool Block::confined() const {
    return iommu::domain_of(marker_device()) != nullptr;
}

void Block::cut_off() {
    for (std::size_t i = 0; i < vectors_.size(); ++i) {
        pci_.mask_vector(i);
    }
    pci_.disable_msix();
    pci_.set_bus_mastering(false);
}

bool Block::settle(Deadline deadline) {
    bool settled = true;
    for (auto& queue : queues_) {
        if (!queue->settle(deadline) || queue->owed() != 0) {
            log::error("{}: {} requests are still owed on queue {}", name(), queue->owed(),
                       queue->identity().number);
            settled = false;
        }
    }
    return settled;
}

void Block::shut_down(Deadline deadline) {
    if (!taken_) {
        return;
    }
    taken_ = false;
    // While it waits, the recovery goes on.
    if (!settle(deadline)) {
        log::error("{}: it is reset with them", name());
    }
    listener_.store(nullptr, std::memory_order_release);
    for (auto& queue : queues_) {
        queue->on_trouble(nullptr, nullptr);
    }
    if (recovery_ != nullptr) {
        recovery_->stop();
    }
    const Result<> done = reset(marker::ResetReason::shutdown);
    const bool quiet = done || done.error() == Error::device_failed || confined();
    cut_off();
    marker::device_release(marker_device());
    for (auto& queue : queues_) {
        queue->release(quiet);
    }
    log::info("{}: {}", name(), quiet ? "at rest" : "did not stop: cut off from memory");
}

}  // namespace pv::virtio
