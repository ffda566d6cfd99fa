// The timer each process has: SIGALRM at a moment, once or again and again (setitimer(2)).
// SPDX-License-Identifier: MIT
#pragma once

#include <boost/intrusive/set_hook.hpp>

#include "base/errno.hpp"
#include "base/time.hpp"

namespace pv::task {

class Process;

/// Guarded by the timers' lock.
struct IntervalTimer
    : boost::intrusive::set_base_hook<boost::intrusive::link_mode<boost::intrusive::normal_link>> {
    Process* process = nullptr;
    Instant next;
    Duration interval;  ///< zero: once
    bool is_set = false;
};

struct TimerSetting {
    Duration left;  ///< zero: off
    Duration interval;
};

/// Sets the timer and returns what was set before. Error: enomem, for the thread that serves all of them.
[[nodiscard]] Outcome<TimerSetting> set_timer(Process& process, const TimerSetting& setting);
[[nodiscard]] TimerSetting timer_setting(Process& process);
/// At the process's end.
void stop_timer(Process& process);

}  // namespace pv::task
