// Interval timers of processes: one thread serves all of them.
// SPDX-License-Identifier: MIT
#include "task/process_timer.hpp"

#include <boost/intrusive/set.hpp>

#include "task/lock.hpp"
#include "task/process.hpp"
#include "task/thread.hpp"

namespace pv::task {
namespace {

struct Earlier {
    bool operator()(const IntervalTimer& a, const IntervalTimer& b) const { return a.next < b.next; }
};

using Timers = boost::intrusive::multiset<IntervalTimer, boost::intrusive::compare<Earlier>,
                                          boost::intrusive::constant_time_size<false>>;

struct Service {
    Timers timers;
    bool has_thread = false;
};

constinit SpinLock lock{Rank::queue};
constinit WaitQueue wake_up;
constinit std::atomic<std::uint64_t> changes{0};

Service& service() {
    alignas(Service) static constinit std::array<std::byte, sizeof(Service)> room{};
    static constinit Service* made = nullptr;
    if (made == nullptr) {
        made = ::new (room.data()) Service;
    }
    return *made;
}

// The first that is due, with its next turn set; nullptr when none is. `next`: when to look again.
Ref<Process> take_due(Instant& next) {
    const SpinGuard guard(lock);
    Timers& timers = service().timers;
    if (timers.empty()) {
        next = Instant::max();
        return nullptr;
    }
    IntervalTimer& timer = *timers.begin();
    const Instant time = now();
    if (timer.next > time) {
        next = timer.next;
        return nullptr;
    }
    timers.erase(timers.iterator_to(timer));
    timer.is_set = timer.interval != Duration();
    if (timer.is_set) {
        // Turns that were missed are not caught up.
        timer.next = timer.next + timer.interval < time ? time + timer.interval : timer.next + timer.interval;
        timers.insert(timer);
    }
    return Ref<Process>(*timer.process);
}

void serve(void*) {
    while (true) {
        const std::uint64_t seen = changes.load();
        Instant next;
        if (const Ref<Process> process = take_due(next)) {
            send_signal(*process, SIGALRM, make_info(SIGALRM, SI_KERNEL, nullptr));
            continue;
        }
        const Deadline deadline =
            next == Instant::max() ? Deadline::never("no program has set a timer") : Deadline::at(next);
        static_cast<void>(wake_up.wait(deadline, [&] { return changes.load() != seen; }));
    }
}

TimerSetting setting_of(const IntervalTimer& timer) {
    return timer.is_set ? TimerSetting{timer.next - now(), timer.interval} : TimerSetting{};
}

void take_out(IntervalTimer& timer) {
    if (timer.is_set) {
        service().timers.erase(service().timers.iterator_to(timer));
        timer.is_set = false;
    }
}

Outcome<> start_service() {
    bool start = false;
    {
        const SpinGuard guard(lock);
        start = !std::exchange(service().has_thread, true);
    }
    if (start && !Thread::create("timers", serve, nullptr, Priority::high)) {
        const SpinGuard guard(lock);
        service().has_thread = false;
        return fail(Errno::enomem);
    }
    return {};
}

}  // namespace

Outcome<TimerSetting> set_timer(Process& process, const TimerSetting& setting) {
    PV_TRY(start_service());
    TimerSetting before;
    {
        const SpinGuard guard(lock);
        IntervalTimer& timer = process.timer;
        before = setting_of(timer);
        take_out(timer);
        if (setting.left != Duration()) {
            timer.process = &process;
            timer.next = now() + setting.left;
            timer.interval = setting.interval;
            timer.is_set = true;
            service().timers.insert(timer);
        }
    }
    changes.fetch_add(1);
    wake_up.wake_all();
    return before;
}

TimerSetting timer_setting(Process& process) {
    const SpinGuard guard(lock);
    return setting_of(process.timer);
}

void stop_timer(Process& process) {
    const SpinGuard guard(lock);
    take_out(process.timer);
}

}  // namespace pv::task
