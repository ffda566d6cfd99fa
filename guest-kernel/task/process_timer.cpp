// Timers of processes: one thread serves all of them.
// SPDX-License-Identifier: MIT
#include "task/process_timer.hpp"

#include <sys/resource.h>

#include <algorithm>
#include <boost/intrusive/set.hpp>
#include <memory>
#include <optional>
#include <utility>

#include "base/atomic.hpp"
#include "task/lock.hpp"
#include "task/process.hpp"
#include "task/process_tree.hpp"
#include "task/thread.hpp"

namespace pv::task {
namespace {

using namespace literals;

struct Earlier {
    bool operator()(const Timer& a, const Timer& b) const { return a.look_at < b.look_at; }
};

using Timers = boost::intrusive::multiset<Timer, boost::intrusive::compare<Earlier>,
                                          boost::intrusive::constant_time_size<false>>;

struct Service {
    Timers timers;
    bool has_thread = false;
};

/// No process has more.
constexpr std::size_t timers_max = 4096;
/// A processor's time is not looked at more often.
constexpr Duration finest_look = 1_ms;
/// Nor is a timer whose last signal was not taken yet.
constexpr Duration untaken_look = 100_us;
/// How long the thread goes on without a pause; the pause is as long as that was. Timers may be due more
/// often than they can be served, and the thread comes before those they are for.
constexpr Duration longest_run = 2_ms;
constexpr std::uint64_t nanoseconds_per_second = 1'000'000'000;

constinit SpinLock lock{Rank::queue};
constinit OnFirstUse<Service> service;  // behind the lock
/// Held from taking a timer's turn until it is told, and by who changes a timer: what was due before is told
/// before, or never.
constinit Mutex turn_lock{Rank::sleeping_leaf};

/// A turn takes microseconds. Who waits for longer goes on without: a signal may then come late.
class TurnGuard {
  public:
    TurnGuard() : is_held_(turn_lock.lock(Deadline::after(1_s)).has_value()) {}

    TurnGuard(const TurnGuard&) = delete;
    TurnGuard& operator=(const TurnGuard&) = delete;

    ~TurnGuard() {
        if (is_held_) {
            turn_lock.unlock();
        }
    }

  private:
    bool is_held_;
};

constinit WaitQueue wake_up;
constinit Atomic<std::uint64_t> changes{0};

// The lock is held in all of these.

Duration count_of(Process& process, const Timer& timer) {
    if (timer.counts == TimerCounts::time) {
        return now().since_boot();
    }
    const SpinGuard guard(tree_lock());
    return time_of(process).total;
}

// It is not looked at before `earliest`.
void put_in(Timer& timer, Instant earliest = Instant()) {
    if (timer.counts == TimerCounts::time) {
        timer.look_at = Instant::since_boot(timer.due);
    } else {
        // All its threads may run at once; until then it cannot be due.
        Duration left;
        {
            const SpinGuard guard(tree_lock());
            left = (timer.due - time_of(*timer.process).total) / std::max(1U, timer.process->live_threads);
        }
        timer.look_at = now() + std::max(left, finest_look);
    }
    timer.look_at = std::max(timer.look_at, earliest);
    service->timers.insert(timer);
}

void take_out(Timer& timer) {
    if (timer.is_set) {
        service->timers.erase(service->timers.iterator_to(timer));
        timer.is_set = false;
    }
}

// Whether a signal like the timer's waits already.
bool is_untaken(const Timer& timer) {
    const int signal = timer.notice.signal;
    const SpinGuard guard(tree_lock());
    const UserThread* thread = timer.notice.thread == 0 ? nullptr : find_thread(timer.notice.thread);
    const SignalSet waiting = timer.process->pending.set() | (thread == nullptr ? 0 : thread->pending.set());
    return signal != 0 && (waiting & bit_of(signal)) != 0;
}

/// One turn of a timer.
struct Turn {
    Ref<Process> process;
    TimerNotice notice;
    int missed = 0;
};

// A timer's turn, with its next one set.
Turn begin_turn(Timer& timer, Duration count) {
    Turn turn{Ref<Process>(*timer.process), timer.notice, 0};
    timer.is_set = timer.interval != Duration();
    if (timer.is_set) {
        // Turns that were missed are counted, not caught up.
        const std::uint64_t missed = (count - timer.due).to_nanoseconds() /
                                     std::max<std::uint64_t>(1, timer.interval.to_nanoseconds());
        turn.missed = static_cast<int>(std::min<std::uint64_t>(missed, 1'000'000));
        timer.due = timer.due + timer.interval * (missed + 1);
        put_in(timer, is_untaken(timer) ? now() + untaken_look : Instant());
    }
    timer.overruns = turn.missed;
    return turn;
}

// The first that is due; nothing when none is: `next` is when to look again.
std::optional<Turn> take_due(Instant& next) {
    const SpinGuard guard(lock);
    Timers& timers = service->timers;
    while (true) {
        if (timers.empty()) {
            next = Instant::max();
            return std::nullopt;
        }
        Timer& timer = *timers.begin();
        if (timer.look_at > now()) {
            next = timer.look_at;
            return std::nullopt;
        }
        timers.erase(timers.iterator_to(timer));
        const Duration count = count_of(*timer.process, timer);
        if (count >= timer.due) {
            return begin_turn(timer, count);
        }
        put_in(timer);
    }
}

// A signal of this timer that nobody has taken yet only learns that there was another turn.
bool is_counted(Process& process, UserThread* thread, const TimerNotice& notice, int turns) {
    return notice.code == SI_TIMER && ((thread != nullptr && thread->pending.add_overrun(notice.id, turns)) ||
                                       process.pending.add_overrun(notice.id, turns));
}

// Which signal the limit of time on processors is told by now; the soft limit is a second further then.
int signal_of_limit(Process& process) {
    const SpinGuard guard(tree_lock());
    Limit& limit = process.limits[RLIMIT_CPU];
    const auto seconds =
        static_cast<std::uint64_t>(time_of(process).total.to_nanoseconds()) / nanoseconds_per_second;
    if (seconds >= limit.hard) {
        return SIGKILL;
    }
    limit.soft = std::max(limit.soft, seconds) + 1;
    return SIGXCPU;
}

void tell(const Turn& turn) {
    TimerNotice notice = turn.notice;
    if (notice.signal == 0) {
        return;
    }
    if (notice.signal == SIGXCPU && notice.code == SI_KERNEL) {
        notice.signal = signal_of_limit(*turn.process);
    }
    SignalInfo info = make_info(notice.signal, notice.code, nullptr);
    if (notice.code == SI_TIMER) {
        info.si_timerid = notice.id;
        info.si_overrun = turn.missed;
        info.si_value.sival_ptr = reinterpret_cast<void*>(notice.value);
    }
    auto* entry = new (std::nothrow) PendingSignals::Queued;
    {
        const SpinGuard guard(tree_lock());
        UserThread* thread = notice.thread == 0 ? nullptr : find_thread(notice.thread);
        if (thread != nullptr && &thread->process() != turn.process.get()) {
            thread = nullptr;
        }
        if (is_counted(*turn.process, thread, notice, turn.missed + 1)) {
            // That is all.
        } else if (thread != nullptr) {
            post_signal(*thread, notice.signal, info, entry);
        } else {
            post_signal(*turn.process, notice.signal, info, entry);
        }
    }
    delete entry;
}

void serve(void*) {
    Instant began = now();
    while (true) {
        const std::uint64_t seen = changes.load(std::memory_order_seq_cst);
        Instant next;
        bool is_told = false;
        {
            const TurnGuard guard;
            if (const std::optional<Turn> turn = take_due(next)) {
                tell(*turn);
                is_told = true;
            }
        }
        if (is_told) {
            if (const Duration run = now() - began; run >= longest_run) {
                sleep(run);
                began = now();
            }
            continue;
        }
        const Deadline deadline =
            next == Instant::max() ? Deadline::never("no program has set a timer") : Deadline::at(next);
        static_cast<void>(
            wake_up.wait(deadline, [&] { return changes.load(std::memory_order_seq_cst) != seen; }));
        began = now();
    }
}

TimerSetting setting_of(Process& process, const Timer& timer) {
    if (!timer.is_set) {
        return {};
    }
    // One that is about to be told is not off yet.
    return {std::max(timer.due - count_of(process, timer), Duration::nanoseconds(1)), timer.interval};
}

Outcome<> start_service() {
    bool start = false;
    {
        const SpinGuard guard(lock);
        start = !std::exchange(service->has_thread, true);
    }
    if (start && !Thread::create("timers", serve, nullptr, Priority::high)) {
        const SpinGuard guard(lock);
        service->has_thread = false;
        return fail(Errno::enomem);
    }
    return {};
}

TimerSetting change(Process& process, Timer& timer, const TimerSetting& setting) {
    const TimerSetting before = setting_of(process, timer);
    take_out(timer);
    if (setting.left != Duration()) {
        timer.process = &process;
        timer.due = count_of(process, timer) + setting.left;
        timer.interval = setting.interval;
        timer.is_set = true;
        timer.overruns = 0;
        put_in(timer);
    }
    return before;
}

Outcome<Timer*> find(Process& process, int id) {
    for (Timer& timer : process.timers.others) {
        if (timer.notice.id == id) {
            return &timer;
        }
    }
    return fail(Errno::einval);
}

void look_again() {
    changes.fetch_add(1, std::memory_order_seq_cst);
    wake_up.wake_all();
}

}  // namespace

ProcessTimers::ProcessTimers() {
    constexpr std::array signals{SIGALRM, SIGVTALRM, SIGPROF};
    for (std::size_t i = 0; i < interval_timers.size(); ++i) {
        interval_timers[i].notice = {.signal = signals[i], .code = SI_KERNEL};
        interval_timers[i].counts = i == 0 ? TimerCounts::time : TimerCounts::processor;
    }
    processor_limit.notice = {.signal = SIGXCPU, .code = SI_KERNEL};
    processor_limit.counts = TimerCounts::processor;
}

Outcome<TimerSetting> set_timer(Process& process, Timer& timer, const TimerSetting& setting) {
    PV_TRY(start_service());
    TimerSetting before;
    {
        const TurnGuard turn_guard;
        const SpinGuard guard(lock);
        before = change(process, timer, setting);
    }
    look_again();
    return before;
}

TimerSetting timer_setting(Process& process, Timer& timer) {
    const SpinGuard guard(lock);
    return setting_of(process, timer);
}

Outcome<int> create_timer(Process& process, int clock, TimerCounts counts, TimerNotice notice) {
    PV_TRY(start_service());
    std::unique_ptr<Timer> fresh(new (std::nothrow) Timer);
    if (fresh == nullptr) {
        return fail(Errno::enomem);
    }
    const SpinGuard guard(lock);
    ProcessTimers& timers = process.timers;
    if (timers.others.size() >= timers_max) {
        return fail(Errno::eagain);
    }
    fresh->notice = notice;
    fresh->notice.id = timers.next_id++;
    fresh->counts = counts;
    fresh->clock = clock;
    timers.others.push_back(*fresh);
    return fresh.release()->notice.id;
}

Outcome<TimerSetting> set_timer(Process& process, int id, const TimerSetting& setting) {
    TimerSetting before;
    {
        const TurnGuard turn_guard;
        const SpinGuard guard(lock);
        before = change(process, *PV_TRY(find(process, id)), setting);
    }
    look_again();
    return before;
}

Outcome<TimerSetting> timer_setting(Process& process, int id) {
    const SpinGuard guard(lock);
    return setting_of(process, *PV_TRY(find(process, id)));
}

Outcome<int> timer_clock(Process& process, int id) {
    const SpinGuard guard(lock);
    return PV_TRY(find(process, id))->clock;
}

Outcome<int> timer_overruns(Process& process, int id) {
    const SpinGuard guard(lock);
    return PV_TRY(find(process, id))->overruns;
}

Outcome<> delete_timer(Process& process, int id) {
    std::unique_ptr<Timer> gone;
    const TurnGuard turn_guard;
    const SpinGuard guard(lock);
    gone.reset(PV_TRY(find(process, id)));
    take_out(*gone);
    process.timers.others.erase(process.timers.others.iterator_to(*gone));
    return {};
}

void delete_timers(Process& process) {
    ProcessTimers::List gone;
    {
        const SpinGuard guard(lock);
        for (Timer& timer : process.timers.others) {
            take_out(timer);
        }
        gone.swap(process.timers.others);
    }
    gone.clear_and_dispose([](Timer* timer) { delete timer; });
}

Outcome<> limit_processor_time(Process& process) {
    PV_TRY(start_service());
    {
        const TurnGuard turn_guard;
        const SpinGuard guard(lock);
        std::uint64_t soft = ~0ULL;
        {
            const SpinGuard tree_guard(tree_lock());
            // Past its end nobody would take the timer out again.
            soft = process.space == nullptr ? soft : process.limits[RLIMIT_CPU].soft;
        }
        Timer& timer = process.timers.processor_limit;
        take_out(timer);
        // More seconds than a duration holds are none.
        if (soft < Duration::max().to_nanoseconds() / nanoseconds_per_second) {
            timer.process = &process;
            timer.due = Duration::seconds(std::max<std::uint64_t>(soft, 1));
            timer.interval = 1_s;
            timer.is_set = true;
            put_in(timer);
        }
    }
    look_again();
    return {};
}

void stop_timers(Process& process) {
    delete_timers(process);
    const SpinGuard guard(lock);
    take_out(process.timers.processor_limit);
    for (Timer& timer : process.timers.interval_timers) {
        take_out(timer);
    }
}

}  // namespace pv::task
