// Calls on clocks and sleep.
// SPDX-License-Identifier: MIT
#include <asm/unistd.h>

#include <algorithm>
#include <utility>

#include "fs/wait.hpp"
#include "linux/table.hpp"
#include "linux/time_values.hpp"
#include "linux/vdso.hpp"
#include "vdso/clock_page.hpp"

namespace pv::linux {
namespace {

using task::WaitQueue;

// The processor time of any process or thread of the caller's own, by a clock's number
// (clock_getcpuclockid(3)): the number is complemented above three bits, of which 4 says thread.
Outcome<timespec> read_processor_clock(Call& call, clockid_t clock) {
    constexpr int which = 3;
    constexpr int descriptor = 3;
    constexpr int of_thread = 4;
    const task::ProcessId id = ~(clock >> 3);
    if ((clock & which) == descriptor) {
        return fail(Errno::einval);
    }
    const task::SpinGuard guard(task::tree_lock());
    if ((clock & of_thread) != 0) {
        task::UserThread* thread = id == 0 ? &call.thread : task::find_thread(id);
        if (thread == nullptr || &thread->process() != &call.process()) {
            return fail(Errno::einval);
        }
        return timespec_of(task::time_of(*thread).total);
    }
    task::Process* process = id == 0 ? &call.process() : task::find_process(id);
    return process == nullptr ? Outcome<timespec>(fail(Errno::einval))
                              : timespec_of(task::time_of(*process).total);
}

}  // namespace

Outcome<timespec> read_clock(Call& call, clockid_t clock) {
    switch (vdso::kind_of(clock)) {
        case vdso::ClockKind::wall: {
            const Timestamp wall = wall_time();
            return timespec{wall.seconds, static_cast<long>(wall.nanoseconds)};
        }
        case vdso::ClockKind::since_boot:
            return timespec_of(now().since_boot());
        case vdso::ClockKind::other:
            break;
    }
    switch (clock) {
        case CLOCK_PROCESS_CPUTIME_ID: {
            const task::SpinGuard guard(task::tree_lock());
            return timespec_of(task::time_of(call.process()).total);
        }
        case CLOCK_THREAD_CPUTIME_ID: {
            const task::SpinGuard guard(task::tree_lock());
            return timespec_of(task::time_of(call.thread).total);
        }
        default:
            return clock < 0 ? read_processor_clock(call, clock) : Outcome<timespec>(fail(Errno::einval));
    }
}

namespace {

Value clock_gettime(Call& call, clockid_t clock, UserPointer<timespec> time) {
    return done(time.write(PV_TRY(read_clock(call, clock))));
}

Value clock_getres(Call& call, clockid_t clock, UserPointer<timespec> resolution) {
    PV_TRY(read_clock(call, clock));
    return done(resolution.write_if_wanted(timespec{0, vdso::resolution_ns}));
}

Value clock_settime(Call& call, clockid_t clock, UserPointer<const timespec> time) {
    const timespec given = PV_TRY(time.read());
    if (clock != CLOCK_REALTIME) {
        return fail(Errno::einval);
    }
    if (!call.thread.identity.has(Capability::sys_time)) {
        return fail(Errno::eperm);
    }
    PV_TRY(duration_of(given));
    set_wall_time_for_all({given.tv_sec, static_cast<std::uint32_t>(given.tv_nsec)});
    return 0;
}

Value gettimeofday(Call&, UserPointer<TimevalValue> time, UserPointer<std::uint64_t> zone) {
    const Timestamp wall = wall_time();
    PV_TRY(time.write_if_wanted({wall.seconds, wall.nanoseconds / 1000}));
    return done(zone.write_if_wanted(0));
}

Value time(Call&, UserPointer<std::int64_t> seconds) {
    const Timestamp wall = wall_time();
    PV_TRY(seconds.write_if_wanted(wall.seconds));
    return static_cast<std::uint64_t>(wall.seconds);
}

// Sleeps until the deadline. Error: eintr.
Outcome<> sleep_until(Deadline deadline) {
    WaitQueue nobody;
    const Outcome<> waited = fs::wait(nobody, deadline, [] { return false; });
    if (!waited && waited.error() == Errno::eintr) {
        return fail(Errno::eintr);
    }
    return {};
}

// One that was only stopped goes on until when it first was to end.
Value sleep_for(Call& call, const timespec& span, UserPointer<timespec> left) {
    Deadline deadline = PV_TRY(deadline_after(span));
    if (std::exchange(call.thread.resumes_at, 0) == call.frame.rip) {
        deadline = Deadline::at(call.thread.resumes_until);
    }
    const Outcome<> slept = sleep_until(deadline);
    if (!slept) {
        call.thread.resumes_until = deadline.instant();
        PV_TRY(left.write_if_wanted(timespec_of(deadline.remaining())));
    }
    return done(slept);
}

Value nanosleep(Call& call, UserPointer<const timespec> span, UserPointer<timespec> left) {
    return sleep_for(call, PV_TRY(span.read()), left);
}

Value clock_nanosleep(Call& call, clockid_t clock, int flags, UserPointer<const timespec> time,
                      UserPointer<timespec> left) {
    PV_TRY(read_clock(call, clock));
    if (clock == CLOCK_THREAD_CPUTIME_ID) {
        return fail(Errno::einval);
    }
    const timespec given = PV_TRY(time.read());
    if ((flags & TIMER_ABSTIME) == 0) {
        return sleep_for(call, given, left);
    }
    return done(sleep_until(PV_TRY(deadline_at(clock, given))));
}

Value getrusage(Call& call, int who, UserPointer<RusageValue> usage) {
    constexpr int self = 0;
    constexpr int children = -1;
    constexpr int thread = 1;
    if (who != self && who != children && who != thread) {
        return fail(Errno::einval);
    }
    RusageValue value;
    {
        const task::SpinGuard guard(task::tree_lock());
        const CpuTime time = who == children ? call.process().children_time
                             : who == thread ? task::time_of(call.thread)
                                             : task::time_of(call.process());
        value.user = TimevalValue::from(time.user());
        value.system = TimevalValue::from(time.system);
        const std::uint64_t faults = who == children ? call.process().children_faults
                                     : who == thread ? call.thread.faults.load(std::memory_order_relaxed)
                                                     : task::faults_of(call.process());
        value.faults = static_cast<std::int64_t>(faults);
    }
    if (who != children) {
        value.resident =
            static_cast<std::int64_t>(call.process().space->statistics().resident * page_size / 1024);
    }
    return done(usage.write(value));
}

struct Times {
    std::int64_t user, system, children_user, children_system;
};

Value times(Call& call, UserPointer<Times> result) {
    constexpr std::uint64_t ticks_ns = 10'000'000;
    Times value{};
    {
        const task::SpinGuard guard(task::tree_lock());
        const auto in_ticks = [](Duration time) {
            return static_cast<std::int64_t>(time.to_nanoseconds() / ticks_ns);
        };
        const CpuTime own = task::time_of(call.process());
        const CpuTime& children = call.process().children_time;
        value = {in_ticks(own.user()), in_ticks(own.system), in_ticks(children.user()),
                 in_ticks(children.system)};
    }
    PV_TRY(result.write_if_wanted(value));
    return now().since_boot().to_nanoseconds() / ticks_ns;
}

struct TimerValue {
    TimevalValue interval;
    TimevalValue left;
};

// Of one that is on, something is left, however late it is told.
TimerValue value_of(const task::TimerSetting& setting) {
    const Duration least = setting.left == Duration() ? Duration() : Duration::microseconds(1);
    return {TimevalValue::from(setting.interval), TimevalValue::from(std::max(setting.left, least))};
}

Outcome<Duration> duration_of(const TimevalValue& value) {
    if (value.seconds < 0 || value.microseconds < 0 || value.microseconds >= 1'000'000) {
        return fail(Errno::einval);
    }
    return Duration::seconds(static_cast<std::uint64_t>(value.seconds)) +
           Duration::microseconds(static_cast<std::uint64_t>(value.microseconds));
}

// ITIMER_REAL, ITIMER_VIRTUAL, ITIMER_PROF.
Outcome<task::Timer*> interval_timer(Call& call, int which) {
    auto& timers = call.process().timers.interval_timers;
    if (which < 0 || static_cast<std::size_t>(which) >= timers.size()) {
        return fail(Errno::einval);
    }
    return &timers[static_cast<std::size_t>(which)];
}

Value getitimer(Call& call, int which, UserPointer<TimerValue> result) {
    task::Timer& timer = *PV_TRY(interval_timer(call, which));
    return done(result.write(value_of(task::timer_setting(call.process(), timer))));
}

Value setitimer(Call& call, int which, UserPointer<const TimerValue> fresh, UserPointer<TimerValue> old) {
    task::Timer& timer = *PV_TRY(interval_timer(call, which));
    TimerValue given{};
    if (!fresh.is_null()) {
        given = PV_TRY(fresh.read());
    }
    const Duration left = PV_TRY(duration_of(given.left));
    const Duration interval = PV_TRY(duration_of(given.interval));
    const task::TimerSetting before = PV_TRY(task::set_timer(call.process(), timer, {left, interval}));
    return done(old.write_if_wanted(value_of(before)));
}

Value alarm(Call& call, std::uint32_t seconds) {
    const task::TimerSetting before = PV_TRY(task::set_timer(
        call.process(), call.process().timers.interval_timers[0], {Duration::seconds(seconds), Duration()}));
    // Rounded to seconds, and never to none while it is on.
    const std::uint64_t left = (before.left.to_milliseconds() + 500) / 1000;
    return left == 0 && before.left != Duration() ? 1 : left;
}

constexpr Entry entries[] = {
    {__NR_getitimer, "getitimer", handler_of<getitimer>, Support::partial,
     "ITIMER_VIRTUAL counts as ITIMER_PROF"},
    {__NR_setitimer, "setitimer", handler_of<setitimer>, Support::partial, "as getitimer"},
    {__NR_alarm, "alarm", handler_of<alarm>},
    {__NR_clock_gettime, "clock_gettime", handler_of<clock_gettime>},
    {__NR_clock_getres, "clock_getres", handler_of<clock_getres>},
    {__NR_clock_settime, "clock_settime", handler_of<clock_settime>},
    {__NR_gettimeofday, "gettimeofday", handler_of<gettimeofday>},
    {__NR_time, "time", handler_of<time>},
    {__NR_nanosleep, "nanosleep", handler_of<nanosleep>, Support::full, {}, Restart::unless_handled},
    {__NR_clock_nanosleep,
     "clock_nanosleep",
     handler_of<clock_nanosleep>,
     Support::full,
     {},
     Restart::unless_handled},
    {__NR_getrusage, "getrusage", handler_of<getrusage>, Support::partial,
     "times, resident memory and page faults only"},
    {__NR_times, "times", handler_of<times>},
};

}  // namespace

constinit const std::span<const Entry> time_calls = entries;

}  // namespace pv::linux
