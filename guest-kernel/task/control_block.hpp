// A kernel thread as the scheduler sees it.
// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <boost/intrusive/list_hook.hpp>
#include <boost/intrusive/set_hook.hpp>
#include <cstdint>

#include "arch/processor.hpp"
#include "arch/x86_64/stack.hpp"
#include "base/atomic.hpp"
#include "base/time.hpp"
#include "task/thread.hpp"
#include "task/wait_queue.hpp"

namespace pv::arch {
struct UserState;
}

namespace pv::task {

class Scheduler;

struct ReadyTag;
struct TimerTag;
using Link = boost::intrusive::link_mode<boost::intrusive::normal_link>;

/// How long a thread runs while others of its priority wait.
inline constexpr Duration usual_turn = Duration::milliseconds(10);

/// As the scheduler counts: 0 is idle, the highest runs first.
[[nodiscard]] constexpr unsigned level_of(Priority priority) {
    return static_cast<unsigned>(priority) + 1;
}

[[nodiscard]] constexpr bool is_real_time_level(unsigned level) {
    return level > level_of(Priority::normal) && level < level_of(Priority::high);
}

enum class State : std::uint8_t { ready, running, parked, ended };

/// Fields up to `joiners` are guarded by the lock of the scheduler the thread belongs to, but where they say
/// otherwise.
struct ControlBlock : boost::intrusive::list_base_hook<boost::intrusive::tag<ReadyTag>, Link>,
                      boost::intrusive::set_base_hook<boost::intrusive::tag<TimerTag>, Link> {
    std::uint64_t saved_rsp = 0;  ///< while not running
    State state = State::ready;
    bool permit = false;  ///< an unpark that came before its park
    bool timed = false;   ///< among the timers
    Instant wake_at;
    Duration ran;  ///< on processors, up to its last turn
    Duration turn = usual_turn;
    Duration turn_left;            ///< of the one in which it waited, or another came first; zero: none of it
    std::uint32_t user_ticks = 0;  ///< how often the tick found a program's code running, and the kernel's
    std::uint32_t system_ticks = 0;
    Duration told_user;  ///< of `ran`, as it was told last: neither ever goes back
    Duration told_system;

    /// What it does after waking another thread, as far as it is known for going on instead of waiting.
    struct Waking {
        std::uint8_t at_once = 0;    ///< how many it will wake elsewhere
        std::uint8_t doublings = 0;  ///< how often that number will have doubled when it goes on next
    } waking;

    std::uint64_t turns = 0;  ///< how often it was given a processor
    unsigned level = 0;       ///< level_of its priority; 0 is idle
    bool listed = false;      ///< among the ready ones of its scheduler
    bool is_pinned = false;   ///< to one CPU
    arch::CpuSet cpus = arch::CpuSet().set();
    /// Whose lock guards the fields above. Changed with that lock held, and only while the thread is ready.
    Atomic<Scheduler*> scheduler{nullptr};

    std::array<char, name_max + 1> name{};
    arch::Stack stack;
    arch::UserState* user = nullptr;  ///< of a program's thread; changed by the thread itself only
    void (*function)(void*) = nullptr;
    void* argument = nullptr;
    std::uint64_t sleeping_ranks = 0;  ///< by the thread itself only
    Atomic<unsigned> owners{1};        ///< its own and its handle; the last one frees it
    Atomic<bool> ended{false};
    WaitQueue joiners;
};

}  // namespace pv::task
