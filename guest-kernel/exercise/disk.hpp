// The exercise of one disk: threads that write patterns, flush, read back and compare.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <memory>

#include "base/deadline.hpp"
#include "base/result.hpp"
#include "base/vector.hpp"
#include "block/device.hpp"
#include "exercise/figures.hpp"
#include "exercise/plan.hpp"

namespace pv::exercise {

class Worker;

class DiskExercise {
  public:
    /// `number` tells this disk's data from another's. Starts the threads; the disk outlives this.
    /// Errors: out_of_memory; out_of_range when the disk is too small for the plan's threads; not_supported
    /// when it is read-only.
    [[nodiscard]] static Result<std::unique_ptr<DiskExercise>> start(block::Device& disk, const Plan& plan,
                                                                     std::uint64_t number);

    ~DiskExercise();
    DiskExercise(const DiskExercise&) = delete;
    DiskExercise& operator=(const DiskExercise&) = delete;

    /// Waits for the threads and prints the figures. Error: timed_out, when a thread hangs; this must then
    /// never be destroyed.
    [[nodiscard]] Result<Figures> finish(Deadline deadline);

  private:
    DiskExercise(block::Device& disk, const Plan& plan);

    block::Device& disk_;
    Plan plan_;
    Instant begun_;
    Vector<std::unique_ptr<Worker>> workers_;
};

}  // namespace pv::exercise
