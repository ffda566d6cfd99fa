// Timers of processes: signals at moments, once or again and again (setitimer(2), timer_create(2)).
// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <boost/intrusive/list.hpp>
#include <boost/intrusive/set_hook.hpp>

#include "base/errno.hpp"
#include "base/time.hpp"

namespace pv::task {

class Process;

/// What a timer counts: time, or that which the process spends on processors.
enum class TimerCounts : std::uint8_t { time, processor };

/// What its process gets.
struct TimerNotice {
    int signal = 0;  ///< 0: nothing
    int code = 0;    ///< SI_KERNEL, or SI_TIMER with the fields below
    int id = 0;
    int thread = 0;           ///< 0: any of the process
    std::uint64_t value = 0;  ///< si_value
};

struct TimerSetting {
    Duration left;  ///< zero: off
    Duration interval;
};

/// Guarded by the timers' lock; `notice`, `counts` and `clock` are constant once it is set.
struct Timer : boost::intrusive::set_base_hook<boost::intrusive::link_mode<boost::intrusive::normal_link>>,
               boost::intrusive::list_base_hook<boost::intrusive::link_mode<boost::intrusive::normal_link>> {
    Process* process = nullptr;
    TimerNotice notice;
    TimerCounts counts = TimerCounts::time;
    int clock = 0;  ///< its number for programs
    bool is_set = false;
    Instant look_at;    ///< when it may be due
    Duration due;       ///< since boot, or of the process's time on processors
    Duration interval;  ///< zero: once
    int overruns = 0;   ///< turns that came while the last one was not taken yet, or too late
};

/// All of one process.
struct ProcessTimers {
    ProcessTimers();

    using List = boost::intrusive::list<Timer, boost::intrusive::constant_time_size<true>>;

    std::array<Timer, 3> interval_timers;  ///< ITIMER_REAL, ITIMER_VIRTUAL, ITIMER_PROF
    List others;                           ///< timer_create's, owned
    int next_id = 0;
    Timer processor_limit;  ///< RLIMIT_CPU: each second from the soft limit on
};

/// Sets one and returns what was set before. Error: enomem, for the thread that serves all of them.
[[nodiscard]] Outcome<TimerSetting> set_timer(Process& process, Timer& timer, const TimerSetting& setting);
[[nodiscard]] TimerSetting timer_setting(Process& process, Timer& timer);

/// A new one, off; its number is put into `notice.id`, and returned. Errors: eagain (there are too many),
/// enomem.
[[nodiscard]] Outcome<int> create_timer(Process& process, int clock, TimerCounts counts, TimerNotice notice);
/// Error: einval, when there is none of that number.
[[nodiscard]] Outcome<TimerSetting> set_timer(Process& process, int id, const TimerSetting& setting);
[[nodiscard]] Outcome<TimerSetting> timer_setting(Process& process, int id);
/// What create_timer was given.
[[nodiscard]] Outcome<int> timer_clock(Process& process, int id);
[[nodiscard]] Outcome<int> timer_overruns(Process& process, int id);
[[nodiscard]] Outcome<> delete_timer(Process& process, int id);
/// A program begins: what the one before made with create_timer goes.
void delete_timers(Process& process);
/// RLIMIT_CPU, of its own limits or a forked one's: from the soft limit on SIGXCPU each second, which the
/// limit follows; at the hard limit SIGKILL. Error: enomem.
[[nodiscard]] Outcome<> limit_processor_time(Process& process);
/// At the process's end.
void stop_timers(Process& process);

}  // namespace pv::task
