// One thread of the exercise, and its share of a disk.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>

#include "base/result.hpp"
#include "base/vector.hpp"
#include "block/device.hpp"
#include "device/dma/pages.hpp"
#include "exercise/figures.hpp"
#include "exercise/pattern.hpp"
#include "exercise/plan.hpp"
#include "task/thread.hpp"

namespace pv::exercise {

/// Blocks no other thread touches.
struct Share {
    std::uint64_t first = 0;
    std::uint64_t blocks = 0;    ///< exercised in a round
    std::uint64_t room = 0;      ///< blocks from `first` on that are this thread's
    std::uint64_t commands = 0;  ///< one-block reads on top
    std::uint64_t number = 0;    ///< unique in a run
};

class Worker {
  public:
    Worker(block::Device& disk, const Plan& plan, const Share& share);

    [[nodiscard]] Result<> start();
    /// Error: timed_out.
    [[nodiscard]] Result<> join(Deadline deadline);

    /// Once joined.
    [[nodiscard]] const Figures& figures() const { return figures_; }

  private:
    void run();
    /// Writes, flushes and reads back the share once. False when the thread is to let the disk be.
    [[nodiscard]] bool round(std::uint64_t number);
    /// One request that is longer than what one command carries.
    [[nodiscard]] bool large(const Pattern& pattern);
    [[nodiscard]] bool many_commands();
    /// Parts of the share made zero, read back, and discarded.
    [[nodiscard]] bool zeroes();
    [[nodiscard]] bool write(const Pattern& pattern, std::uint64_t first, std::uint64_t blocks);
    [[nodiscard]] bool read(const Pattern& pattern, std::uint64_t first, std::uint64_t blocks);
    [[nodiscard]] bool flush();
    /// Whether a write that timed out may still reach the disk.
    [[nodiscard]] bool writes_to_come();
    [[nodiscard]] bool prepare(std::size_t length);
    bool account(const Result<>& result, Duration latency);
    [[nodiscard]] std::uint64_t random(std::uint64_t below);
    [[nodiscard]] std::uint64_t request_blocks(std::uint64_t left);

    block::Device& disk_;
    const Plan& plan_;
    Share share_;
    Figures figures_;
    dma::Pages pages_;
    std::size_t offset_ = 0;  ///< of the data in pages_
    std::uint64_t random_;
    Deadline limit_;
    bool undefined_ = false;  ///< a write failed, or may still come: what is on the disk is not known
    bool may_come_ = false;   ///< a write timed out: the device may carry it out whenever it likes
    task::Thread thread_;
};

}  // namespace pv::exercise
