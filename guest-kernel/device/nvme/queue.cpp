// An NVMe queue pair in service: rings, PRP lists and doorbells under the commands' life.
// SPDX-License-Identifier: MIT
#include "device/nvme/queue.hpp"

#include <algorithm>
#include <cstring>
#include <new>
#include <utility>

#include "base/log.hpp"
#include "device/nvme/misbehave.hpp"
#include "device/nvme/regs.hpp"
#include "misbehave/device_fault.hpp"

namespace pv::nvme {
namespace {

using Doorbells = mmio::RegisterArray<std::uint32_t, mmio::Access::write_only>;

}  // namespace

Result<std::unique_ptr<Queue>> Queue::create(block::QueueIdentity identity, const mmio::Window& registers,
                                             std::size_t doorbell_stride, std::size_t entries,
                                             Duration patience) {
    if (entries < 2 || entries > 65536) {
        return fail(Error::corrupt);
    }
    const Doorbells doorbells{Registers::doorbells, doorbell_stride};
    const auto tail = doorbells.at(std::size_t{2} * identity.number);
    const auto head = doorbells.at(std::size_t{2} * identity.number + 1);
    if (!registers.contains(tail.offset, 4) || !registers.contains(head.offset, 4)) {
        return fail(Error::out_of_range);
    }
    dma::UntoldBuffer submission = PV_TRY(dma::UntoldBuffer::allocate(
        identity.device, entries * sizeof(SubmissionEntry), dma::Direction::to_device));
    dma::UntoldBuffer completion = PV_TRY(dma::UntoldBuffer::allocate(
        identity.device, entries * sizeof(CompletionEntry), dma::Direction::from_device));
    // One entry less than the queue has, and never more than the table of commands holds.
    const std::size_t limit = std::min(entries - 1, block::maximum_in_flight);
    dma::UntoldBuffer lists =
        PV_TRY(dma::UntoldBuffer::allocate(identity.device, limit * page_size, dma::Direction::to_device));
    const QueuePair pair = PV_TRY(QueuePair::create(submission->bytes(), completion->bytes(), entries));
    std::unique_ptr<Queue> queue{new (std::nothrow) Queue{identity, pair, limit, patience}};
    if (queue == nullptr) {
        return fail(Error::out_of_memory);
    }
    queue->submission_ = submission.take();
    queue->completion_ = completion.take();
    queue->lists_ = lists.take();
    queue->registers_ = registers;
    queue->tail_ = tail;
    queue->head_ = head;
    queue->mark_created();
    return queue;
}

Result<block::Outcome> Queue::run(const SubmissionEntry& entry, block::Submission&& submission) {
    return execute(std::move(submission), [&](block::CommandId id, const block::Command& command) {
        return stage(entry, id, command);
    });
}

Result<block::CommandId> Queue::start(const SubmissionEntry& entry, block::Submission&& submission, Room room,
                                      const Extra& extra) {
    return submit(std::move(submission), room,
                  [&](block::CommandId id, const block::Command& command) -> Result<> {
                      // Looked at here, behind whatever sleep there was for room, or for a recovery.
                      if (extra.retired != nullptr && extra.retired->load(std::memory_order_acquire)) {
                          return fail(Error::device_failed);
                      }
                      PV_TRY(stage(entry, id, command));
                      if (extra.range != nullptr) {
                          // The slot's list page is free: there is no data that would need it.
                          const std::size_t list = block::CommandTable::Slots::slot_of(id) * page_size;
                          std::memcpy(lists_.bytes().data() + list, extra.range, sizeof *extra.range);
                          staged_.prp1 = (lists_.bus() + list).value();
                      }
                      return {};
                  });
}

Result<> Queue::stage(SubmissionEntry entry, block::CommandId id, const block::Command& command) {
    if (pair_.full()) {
        return fail(Error::device_failed);  // it answers without having fetched: not to be trusted
    }
    entry.command = id.wire;
    if (command.data) {
        const std::size_t list = block::CommandTable::Slots::slot_of(id) * page_size;
        const auto bytes = lists_.bytes().subspan(list, page_size);
        const Prp prp = PV_TRY(build_prp(command.data.bus(), command.data.length(), page_shift,
                                         {reinterpret_cast<le64*>(bytes.data()), prp_entries_per_page},
                                         lists_.bus() + list));
        entry.prp1 = prp.prp1;
        entry.prp2 = prp.prp2;
        misbehave_with_pointers(entry, prp, command.data.length(), bytes);
    }
    staged_ = entry;
    return {};
}

void Queue::publish([[maybe_unused]] block::CommandId id, bool more) {
    Result<std::uint16_t> tail = pair_.push(staged_);
    if (misbehave::take(misbehave::Rule::cmd_duplicate)) {
        submit_twice(id);
        tail = pair_.push(staged_);
    }
    if (tail) {  // stage() saw that there is room, and the lock was held since
        misbehave_with_registers(registers_, identity(), tail_, pair_.entries());
        if (identity().number == 0 && misbehave::happens(misbehave::DeviceFault::silent_admin)) {
            return;
        }
        published_ = *tail;
        if (!more) {
            ring();
        }
        misbehave_with_entry(submission_.bytes(), (*tail + pair_.entries() - 1) % pair_.entries());
    }
}

void Queue::ring() {
    if (silent_) {
        return;
    }
    marker::doorbell(identity().device, marker::QueueKind::nvme_submission, identity().number, published_);
    if (shadow_tail_.ring(published_)) {
        registers_.write(tail_, std::uint32_t{published_});
    }
}

void Queue::drain() {
    bool any = false;
    // At most one pass of the ring a call: a device that keeps it full cannot hold the processor here.
    for (std::size_t i = 0; i < pair_.entries(); ++i) {
        const std::optional<Completion> completion = pair_.next();
        if (!completion) {
            break;
        }
        any = true;
        if (!completion->sound) {
            refuse(completion->command, "its submission queue head is impossible");
        } else if (completion->submission_queue != identity().number) {
            refuse(completion->command, "it names another queue");
        } else {
            arrived(completion->command, completion->status, completion->result);
        }
    }
    if (any && !silent_) {
        const std::uint16_t head = pair_.completion_head();
        marker::doorbell(identity().device, marker::QueueKind::nvme_completion, identity().number, head);
        if (shadow_head_.ring(head)) {
            registers_.write(head_, std::uint32_t{head});
        }
    }
}

void Queue::tell() {
    // Under the lock: on_trouble(nullptr) means that nobody is told any more.
    locked([&] {
        if (trouble_ != nullptr) {
            trouble_(trouble_context_);
        }
    });
}

void Queue::mark_created() const {
    marker::queue_create(identity().device, marker::QueueKind::nvme_completion, identity().number,
                         pair_.entries(), completion_.bus());
    marker::queue_create(identity().device, marker::QueueKind::nvme_submission, identity().number,
                         pair_.entries(), submission_.bus());
}

void Queue::mark_deleted() const {
    marker::queue_delete(identity().device, marker::QueueKind::nvme_submission, identity().number);
    marker::queue_delete(identity().device, marker::QueueKind::nvme_completion, identity().number);
}

void Queue::renew() {
    locked([&] {
        mark_deleted();
        std::ranges::fill(submission_.bytes(), std::byte{0});
        std::ranges::fill(completion_.bytes(), std::byte{0});
        pair_.restart();
        shadow_tail_.restart();
        shadow_head_.restart();
        silent_ = false;
        mark_created();
    });
}

void Queue::release(bool quiet) {
    // A handler of an interrupt that was under way when the vector was masked comes too late from here on.
    close({});
    if (!quiet) {
        log::error("{}: the memory of queue {} and of {} commands stays in quarantine for good",
                   identity().name, identity().number, owed());
        submission_.quarantine();
        completion_.quarantine();
        lists_.quarantine();
        return;
    }
    end_all();
    mark_deleted();
    submission_.release();
    completion_.release();
    lists_.release();
}

}  // namespace pv::nvme
