// Whether two CPUs' counters ever go backwards when a thread moves from one to the other.
// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstdint>

#include "base/atomic.hpp"

namespace pv::arch {

/// Both CPUs call run() at once. Each reading is taken after the one before it, by whichever CPU: a smaller
/// value is a step backwards. Waits for nobody longer than a lock is held for one reading.
class SkewTest {
  public:
    /// Reads `counter()` `rounds` times in turns with whoever else does.
    template <class Counter>
    void run(unsigned rounds, Counter&& counter) {
        for (unsigned i = 0; i < rounds; ++i) {
            while (taken_.exchange(true, std::memory_order_acquire)) {
                __builtin_ia32_pause();
            }
            const std::uint64_t reading = counter();
            backwards_ = std::max(backwards_, reading < last_ ? last_ - reading : 0);
            last_ = reading;
            taken_.store(false, std::memory_order_release);
        }
    }

    /// The largest step backwards. When all have run.
    [[nodiscard]] std::uint64_t backwards() const { return backwards_; }

  private:
    Atomic<bool> taken_{false};
    std::uint64_t last_ = 0;
    std::uint64_t backwards_ = 0;
};

/// Makes one clock of counters that differ: no value is smaller than one given out before, on any CPU.
class SharedMaximum {
  public:
    std::uint64_t at_least(std::uint64_t reading) {
        std::uint64_t seen = latest_.load(std::memory_order_acquire);
        while (seen < reading) {
            if (latest_.compare_exchange_weak(seen, reading, std::memory_order_acq_rel)) {
                return reading;
            }
        }
        return seen;
    }

  private:
    Atomic<std::uint64_t> latest_{0};
};

}  // namespace pv::arch
