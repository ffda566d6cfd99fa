// Kernel threads: created by name, preempted, joined with a deadline.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <string_view>
#include <utility>

#include "base/deadline.hpp"
#include "base/result.hpp"

namespace pv::task {

struct ControlBlock;

/// Higher runs first; equals share the CPU in turns. Between the kernel's own most urgent threads and all
/// others are the 99 real-time priorities of programs.
enum class Priority : std::uint8_t { low = 0, normal = 1, high = 101 };

inline constexpr int real_time_max = 99;

/// What real-time threads may use of each CPU while others wait for it: a twentieth of each second stays
/// (Linux's sched_rt_runtime_us of sched_rt_period_us).
inline constexpr Duration real_time_period = Duration::seconds(1);
inline constexpr Duration real_time_share = Duration::milliseconds(950);

/// A turn of SCHED_RR's (Linux's sched_rr_timeslice_ms).
inline constexpr Duration round_robin_turn = Duration::milliseconds(100);

/// `number`: 1 to real_time_max, as programs count them.
[[nodiscard]] constexpr Priority real_time_priority(int number) {
    return static_cast<Priority>(static_cast<int>(Priority::normal) + number);
}

/// The CPU a thread stays on, or any of them.
inline constexpr unsigned any_cpu = ~0U;

inline constexpr std::size_t name_max = 31;

/// The one owner of a thread's end. Destroying the handle of a thread that still runs lets it go on by
/// itself.
class Thread {
  public:
    /// Starts `function(argument)` on a stack of its own (16 KiB, a guard page below). `name` is copied and
    /// cut to name_max. It runs on `cpu` and nowhere else, or wherever there is room. Threads only. Errors:
    /// out_of_memory, invalid_argument (no such CPU).
    static Result<Thread> create(std::string_view name, void (*function)(void*), void* argument,
                                 Priority priority = Priority::normal, unsigned cpu = any_cpu);

    Thread() = default;

    Thread(Thread&& other) noexcept : block_(std::exchange(other.block_, nullptr)) {}

    Thread& operator=(Thread&& other) noexcept {
        std::swap(block_, other.block_);
        return *this;
    }

    Thread(const Thread&) = delete;
    Thread& operator=(const Thread&) = delete;
    ~Thread();

    /// Waits for the thread's function to return. Error: timed_out; the handle then still owns it.
    Result<> join(Deadline deadline);

    [[nodiscard]] bool joinable() const { return block_ != nullptr; }

  private:
    explicit Thread(ControlBlock* block) : block_(block) {}

    ControlBlock* block_ = nullptr;
};

/// Sleeps at least this long. Threads only.
void sleep(Duration span);
void sleep_until(Instant instant);

/// Lets others of the same priority run.
void yield();

/// The running thread's name; "boot" before there are threads. Any context.
[[nodiscard]] std::string_view current_name();

/// Threads that have not ended; of the idle threads only the boot CPU's counts.
[[nodiscard]] std::size_t thread_count();

}  // namespace pv::task
