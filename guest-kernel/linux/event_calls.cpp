// Calls that make events files: timers and signals.
// SPDX-License-Identifier: MIT
#include <asm/unistd.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>

#include "fs/timer_file.hpp"
#include "linux/descriptors.hpp"
#include "linux/signal_file.hpp"
#include "linux/table.hpp"
#include "linux/time_values.hpp"

namespace pv::linux {
namespace {

Value timerfd_create(Call& call, int clock, int flags) {
    if ((flags & ~(TFD_CLOEXEC | TFD_NONBLOCK)) != 0) {
        return fail(Errno::einval);
    }
    switch (clock) {
        case CLOCK_REALTIME:
        case CLOCK_MONOTONIC:
        case CLOCK_BOOTTIME:
            break;
        default:
            return fail(Errno::einval);
    }
    auto file = PV_TRY(
        fs::TimerFile::create(clock == CLOCK_REALTIME, static_cast<std::uint32_t>(flags & TFD_NONBLOCK)));
    return as_value(add(call, std::move(file), (flags & TFD_CLOEXEC) != 0));
}

Outcome<Ref<fs::OpenFile>> get_timer(Call& call, int descriptor) {
    auto file = PV_TRY(get(call, descriptor));
    if (file->kind() != fs::FileKind::timer) {
        return fail(Errno::einval);
    }
    return file;
}

struct ItimerspecValue {
    timespec interval;
    timespec first;

    static ItimerspecValue from(const fs::TimerSchedule& schedule) {
        return {timespec_of(schedule.interval), timespec_of(schedule.left)};
    }
};

Value timerfd_settime(Call& call, int descriptor, int flags, UserPointer<const ItimerspecValue> fresh,
                      UserPointer<ItimerspecValue> old) {
    if ((flags & ~(TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET)) != 0) {
        return fail(Errno::einval);
    }
    const ItimerspecValue given = PV_TRY(fresh.read());
    const Duration first = PV_TRY(duration_of(given.first));
    const Duration interval = PV_TRY(duration_of(given.interval));
    const auto file = PV_TRY(get_timer(call, descriptor));
    auto& timer = static_cast<fs::TimerFile&>(*file);
    Instant moment = Instant::max();
    if (first != Duration()) {
        const clockid_t clock = timer.is_wall() ? CLOCK_REALTIME : CLOCK_MONOTONIC;
        moment = (flags & TFD_TIMER_ABSTIME) != 0 ? PV_TRY(deadline_at(clock, given.first)).instant()
                                                  : now() + first;
    }
    return done(old.write_if_wanted(ItimerspecValue::from(timer.set(moment, interval))));
}

Value timerfd_gettime(Call& call, int descriptor, UserPointer<ItimerspecValue> result) {
    const auto file = PV_TRY(get_timer(call, descriptor));
    return done(result.write(ItimerspecValue::from(static_cast<fs::TimerFile&>(*file).schedule())));
}

Value signalfd4(Call& call, int descriptor, UserPointer<const task::SignalSet> mask, std::uint64_t size,
                int flags) {
    if ((flags & ~(SFD_CLOEXEC | SFD_NONBLOCK)) != 0 || size != sizeof(task::SignalSet)) {
        return fail(Errno::einval);
    }
    const task::SignalSet wanted = PV_TRY(mask.read());
    if (descriptor == -1) {
        auto file = PV_TRY(
            SignalFile::create(call.process(), wanted, static_cast<std::uint32_t>(flags & SFD_NONBLOCK)));
        return as_value(add(call, std::move(file), (flags & SFD_CLOEXEC) != 0));
    }
    const auto file = PV_TRY(get(call, descriptor));
    if (file->kind() != fs::FileKind::signals) {
        return fail(Errno::einval);
    }
    static_cast<SignalFile&>(*file).set_wanted(wanted);
    return static_cast<std::uint64_t>(descriptor);
}

Value signalfd(Call& call, int descriptor, UserPointer<const task::SignalSet> mask, std::uint64_t size) {
    return signalfd4(call, descriptor, mask, size, 0);
}

constexpr Entry entries[] = {
    {__NR_timerfd_create, "timerfd_create", handler_of<timerfd_create>, Support::partial,
     "no clocks that wake a machine that sleeps"},
    {__NR_timerfd_settime, "timerfd_settime", handler_of<timerfd_settime>, Support::partial,
     "a wall clock that is set moves no timer"},
    {__NR_timerfd_gettime, "timerfd_gettime", handler_of<timerfd_gettime>},
    {__NR_signalfd, "signalfd", handler_of<signalfd>},
    {__NR_signalfd4, "signalfd4", handler_of<signalfd4>},
};

}  // namespace

constinit const std::span<const Entry> event_calls = entries;

}  // namespace pv::linux
