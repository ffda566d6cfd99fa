// NVMe submission and completion queue in memory (Base Specification 2.0, section 3.3): tail, head, phase.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "base/result.hpp"
#include "device/nvme/spec.hpp"

namespace pv::nvme {

/// What a completion queue entry says. All of it is the device's word: the caller judges it.
struct Completion {
    std::uint16_t command;
    std::uint16_t status;  ///< status field without the phase tag
    std::uint32_t result;  ///< dword 0
    std::uint16_t submission_head;
    std::uint16_t submission_queue;
    bool sound;  ///< the submission head is one of the entries in flight; else it was not believed
};

/// The driver's half of one queue pair. Owns no memory and rings no doorbell; not synchronised.
class QueuePair {
  public:
    /// Both queues have `entries` entries (2 to 65536), are page aligned and zero.
    /// Errors: invalid_argument when one of that does not hold.
    [[nodiscard]] static Result<QueuePair> create(std::span<std::byte> submission,
                                                  std::span<std::byte> completion, std::size_t entries);

    [[nodiscard]] std::size_t entries() const { return entries_; }

    /// Commands that fit at once: a full queue holds one entry less than it has (3.3.1.2).
    [[nodiscard]] std::size_t room() const { return entries_ - 1; }

    /// As created: empty. The memory is zero again, and the controller knows nothing of the queue.
    void restart() {
        tail_ = fetched_ = head_ = 0;
        phase_ = true;
    }

    /// Writes the entry at the tail and moves the tail, which is what the doorbell is to say. Errors:
    /// no_space when the controller has not fetched enough of the earlier ones yet.
    [[nodiscard]] Result<std::uint16_t> push(const SubmissionEntry& entry);

    /// The next completion, nullopt when there is none. Moves the head, which the doorbell is to say after
    /// one or several.
    [[nodiscard]] std::optional<Completion> next();

    /// No further entry fits until the controller says it fetched some.
    [[nodiscard]] bool full() const { return (tail_ + 1) % entries_ == fetched_; }

    [[nodiscard]] std::uint16_t completion_head() const { return static_cast<std::uint16_t>(head_); }

    [[nodiscard]] std::uint16_t submission_tail() const { return static_cast<std::uint16_t>(tail_); }

  private:
    QueuePair(std::span<std::byte> submission, std::span<std::byte> completion, std::size_t entries);

    SubmissionEntry* submission_;
    CompletionEntry* completion_;
    std::size_t entries_;
    std::size_t tail_ = 0;     ///< next submission entry to write
    std::size_t fetched_ = 0;  ///< the controller's head, as its last completion said
    std::size_t head_ = 0;     ///< next completion entry to look at
    bool phase_ = true;        ///< phase tag of a new entry in this pass
};

}  // namespace pv::nvme
