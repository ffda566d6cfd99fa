// For guest tests: the same function on every CPU at once.
// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <atomic>

#include "arch/processor.hpp"
#include "boot/tests.hpp"
#include "task/thread.hpp"

namespace pv::guest_test {

inline constexpr Duration cpus_patience = Duration::seconds(60);  // a hang's end, not a measure

/// Threads that run `function(argument)`, one pinned to each CPU.
class OnCpus {
  public:
    OnCpus(std::string_view name, void (*function)(void*), void* argument,
           task::Priority priority = task::Priority::normal) {
        for (unsigned cpu = 0; cpu < arch::cpu_count(); ++cpu) {
            auto thread = task::Thread::create(name, function, argument, priority, cpu);
            PV_EXPECT(thread.has_value());
            if (thread) {
                threads_[cpu] = std::move(*thread);
            }
        }
    }

    /// Waits for all of them.
    void join() {
        for (task::Thread& thread : threads_) {
            PV_EXPECT(!thread.joinable() || thread.join(Deadline::after(cpus_patience)).has_value());
        }
    }

  private:
    std::array<task::Thread, 64> threads_;
};

/// Where threads of all CPUs wait for one another, busy, so that what follows happens at the same time.
class StartLine {
  public:
    void wait() {
        ++arrived_;
        const Deadline end = Deadline::after(cpus_patience);
        while (arrived_ < arch::cpu_count() && !end.expired()) {
            arch::relax();
        }
    }

  private:
    std::atomic<unsigned> arrived_{0};
};

inline void on_each_cpu(std::string_view name, void (*function)(void*), void* argument) {
    OnCpus threads(name, function, argument);
    threads.join();
}

}  // namespace pv::guest_test
