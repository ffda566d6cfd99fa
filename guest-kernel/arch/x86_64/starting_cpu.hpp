// A CPU that is about to be started: all that it will need, and how far it has come.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <memory>

#include "arch/x86_64/clock_skew.hpp"
#include "arch/x86_64/cpu.hpp"
#include "arch/x86_64/stack.hpp"
#include "base/atomic.hpp"
#include "base/result.hpp"
#include "task/scheduler.hpp"

namespace pv::arch {

/// Made by the boot CPU before the other one runs its first instruction, so that no memory can be missing
/// later. Once that CPU has been called it may come at any time: from then on nobody ends this.
class StartingCpu {
  public:
    enum class Step : std::uint8_t { waiting, at_clock, online, failed, abandoned };

    /// Errors: out_of_memory, no_space; then all that was taken is given back.
    [[nodiscard]] static Result<std::unique_ptr<StartingCpu>> create(unsigned index, std::uint32_t apic_id);

    StartingCpu(const StartingCpu&) = delete;
    StartingCpu& operator=(const StartingCpu&) = delete;
    /// The table of vectors stays: it is the next one's that gets the index.
    ~StartingCpu();

    /// One of the two CPUs says how it ended; the other one gets false.
    [[nodiscard]] bool finish(Step last);

    Cpu cpu;
    Stack stack;
    task::Scheduler* scheduler = nullptr;  ///< owned until it runs
    SkewTest skew;
    Atomic<Step> step{Step::waiting};
    Atomic<Error> error{Error::timed_out};

  private:
    StartingCpu() = default;
};

}  // namespace pv::arch
