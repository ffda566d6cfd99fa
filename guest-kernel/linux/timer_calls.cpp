// Calls on timers that programs make (timer_create(2)).
// SPDX-License-Identifier: MIT
#include <asm/unistd.h>
#include <signal.h>

#include <algorithm>

#include "linux/table.hpp"
#include "linux/time_values.hpp"

namespace pv::linux {
namespace {

/// struct sigevent as the kernel has it.
struct EventValue {
    std::uint64_t value;
    std::int32_t signal;
    std::int32_t notify;
    std::int32_t thread;
    std::int32_t unused[11];
};

static_assert(sizeof(EventValue) == 64);

/// struct itimerspec.
struct TimerValue {
    timespec interval;
    timespec left;
};

constexpr clockid_t own_process_clock = -6;  ///< ~0 << 3 | 2
constexpr clockid_t own_thread_clock = -2;   ///< ~0 << 3 | 4 | 2

Outcome<task::TimerCounts> counts_of(clockid_t clock) {
    switch (clock) {
        case CLOCK_REALTIME:
        case CLOCK_MONOTONIC:
        case CLOCK_BOOTTIME:
        case CLOCK_TAI:
            return task::TimerCounts::time;
        case CLOCK_PROCESS_CPUTIME_ID:
        case CLOCK_THREAD_CPUTIME_ID:
            return task::TimerCounts::processor;
        default:
            // As clock_getcpuclockid(3) names the caller's own: glibc asks for these in place of the two
            // above.
            return clock == own_process_clock || clock == own_thread_clock
                       ? Outcome<task::TimerCounts>(task::TimerCounts::processor)
                       : fail(Errno::einval);
    }
}

Outcome<task::TimerNotice> notice_of(Call& call, const EventValue& event) {
    task::TimerNotice notice{.code = SI_TIMER, .value = event.value};
    if (event.notify == SIGEV_NONE) {
        return notice;
    }
    if ((event.notify != SIGEV_SIGNAL && event.notify != SIGEV_THREAD_ID && event.notify != SIGEV_THREAD) ||
        event.signal < 1 || event.signal > task::signal_count) {
        return fail(Errno::einval);
    }
    notice.signal = event.signal;
    if (event.notify == SIGEV_THREAD_ID) {
        const task::SpinGuard guard(task::tree_lock());
        const task::UserThread* thread = task::find_thread(event.thread);
        if (thread == nullptr || &thread->process() != &call.process()) {
            return fail(Errno::einval);
        }
        notice.thread = event.thread;
    }
    return notice;
}

Value timer_create(Call& call, clockid_t clock, UserPointer<const EventValue> event, UserPointer<int> id) {
    const task::TimerCounts counts = PV_TRY(counts_of(clock));
    const bool is_default = event.is_null();
    const EventValue given =
        is_default
            ? EventValue{.value = 0, .signal = SIGALRM, .notify = SIGEV_SIGNAL, .thread = 0, .unused = {}}
            : PV_TRY(event.read());
    const task::TimerNotice notice = PV_TRY(notice_of(call, given));
    const int made = PV_TRY(task::create_timer(call.process(), clock, counts, notice));
    const Outcome<> written = id.write(made);
    if (!written) {
        PV_TRY(task::delete_timer(call.process(), made));
    }
    return done(written);
}

TimerValue value_of(const task::TimerSetting& setting) {
    return {timespec_of(setting.interval), timespec_of(setting.left)};
}

Value timer_settime(Call& call, int id, int flags, UserPointer<const TimerValue> fresh,
                    UserPointer<TimerValue> old) {
    if (fresh.is_null()) {
        return fail(Errno::einval);
    }
    const TimerValue given = PV_TRY(fresh.read());
    task::TimerSetting setting;
    setting.left = PV_TRY(duration_of(given.left));
    setting.interval = PV_TRY(duration_of(given.interval));
    if ((flags & TIMER_ABSTIME) != 0 && setting.left != Duration()) {
        // What lies in the past is due at once.
        const clockid_t clock = PV_TRY(task::timer_clock(call.process(), id));
        const timespec now_there = PV_TRY(read_clock(call, clock));
        const Duration time = PV_TRY(duration_of(now_there));
        setting.left = std::max(setting.left - time, Duration::nanoseconds(1));
    }
    const task::TimerSetting before = PV_TRY(task::set_timer(call.process(), id, setting));
    return done(old.write_if_wanted(value_of(before)));
}

Value timer_gettime(Call& call, int id, UserPointer<TimerValue> value) {
    return done(value.write(value_of(PV_TRY(task::timer_setting(call.process(), id)))));
}

Value timer_getoverrun(Call& call, int id) {
    return static_cast<std::uint64_t>(PV_TRY(task::timer_overruns(call.process(), id)));
}

Value timer_delete(Call& call, int id) {
    return done(task::delete_timer(call.process(), id));
}

constexpr Entry entries[] = {
    {__NR_timer_create, "timer_create", handler_of<timer_create>, Support::partial,
     "a thread's processor time counts as its process's; no alarm clocks"},
    {__NR_timer_settime, "timer_settime", handler_of<timer_settime>, Support::partial,
     "a timer of the time of day does not follow when that is set"},
    {__NR_timer_gettime, "timer_gettime", handler_of<timer_gettime>},
    {__NR_timer_getoverrun, "timer_getoverrun", handler_of<timer_getoverrun>},
    {__NR_timer_delete, "timer_delete", handler_of<timer_delete>},
};

}  // namespace

constinit const std::span<const Entry> timer_calls = entries;

}  // namespace pv::linux
