// NVMe submission and completion queue in memory: tail, head, phase.
// SPDX-License-Identifier: MIT
#include "device/nvme/queue_pair.hpp"

#include "base/address.hpp"
#include "base/atomic.hpp"
#include "device/dma/shared.hpp"

namespace pv::nvme {
namespace {

bool page_aligned(std::span<std::byte> memory) {
    return reinterpret_cast<std::uintptr_t>(memory.data()) % page_size == 0;
}

}  // namespace

Result<QueuePair> QueuePair::create(std::span<std::byte> submission, std::span<std::byte> completion,
                                    std::size_t entries) {
    if (entries < 2 || entries > 65536 || submission.size() < entries * sizeof(SubmissionEntry) ||
        completion.size() < entries * sizeof(CompletionEntry) || !page_aligned(submission) ||
        !page_aligned(completion)) {
        return fail(Error::invalid_argument);
    }
    return QueuePair{submission, completion, entries};
}

QueuePair::QueuePair(std::span<std::byte> submission, std::span<std::byte> completion, std::size_t entries)
    : submission_{reinterpret_cast<SubmissionEntry*>(submission.data())},
      completion_{reinterpret_cast<CompletionEntry*>(completion.data())},
      entries_{entries} {}

Result<std::uint16_t> QueuePair::push(const SubmissionEntry& entry) {
    if (full()) {
        return fail(Error::no_space);
    }
    submission_[tail_] = entry;
    tail_ = (tail_ + 1) % entries_;
    // The doorbell store that follows is ordered after these by the processor; this keeps the compiler to it.
    std::atomic_thread_fence(std::memory_order_release);
    return submission_tail();
}

std::optional<Completion> QueuePair::next() {
    const CompletionEntry& entry = completion_[head_];
    const std::uint16_t status = dma::observe(entry.status);
    if (((status & 1) != 0) != phase_) {
        return std::nullopt;
    }
    Completion completion{.command = entry.command,
                          .status = static_cast<std::uint16_t>(status >> 1),
                          .result = entry.result,
                          .submission_head = entry.submission_head,
                          .submission_queue = entry.submission_queue,
                          .sound = false};
    head_ = (head_ + 1) % entries_;
    if (head_ == 0) {
        phase_ = !phase_;
    }
    // The head may move from where it was towards the tail, and no further.
    const std::size_t moved = (completion.submission_head + entries_ - fetched_) % entries_;
    if (completion.submission_head < entries_ && moved <= (tail_ + entries_ - fetched_) % entries_) {
        completion.sound = true;
        fetched_ = completion.submission_head;
    }
    return completion;
}

}  // namespace pv::nvme
