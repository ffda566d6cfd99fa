// The file behind timerfd.
// SPDX-License-Identifier: MIT
#include "fs/timer_file.hpp"

#include <algorithm>
#include <new>

#include "fs/wait.hpp"

namespace pv::fs {

Outcome<Ref<TimerFile>> TimerFile::create(bool is_wall, std::uint32_t flags) {
    PV_TRY(start_alarms());
    auto* file = new (std::nothrow) TimerFile(is_wall, flags);
    if (file == nullptr) {
        return fail(Errno::enomem);
    }
    return Ref<TimerFile>::adopt(file);
}

void TimerFile::State::advance(Instant time) {
    if (next > time) {
        return;
    }
    if (interval == Duration()) {
        ++fired;
        next = Instant::max();
        return;
    }
    const std::uint64_t missed = (time - next).to_nanoseconds() / interval.to_nanoseconds();
    fired += missed + 1;
    next = next + interval * (missed + 1);
}

TimerSchedule TimerFile::left_of(const State& state, Instant time) {
    if (state.next == Instant::max()) {
        return {Duration(), state.interval};
    }
    return {std::max(state.next - time, Duration::nanoseconds(1)), state.interval};
}

TimerSchedule TimerFile::set(Instant first, Duration interval) {
    const Instant time = now();
    const TimerSchedule before = state_.with([&](State& state) {
        state.advance(time);
        const TimerSchedule old = left_of(state, time);
        state = {.next = first, .interval = interval, .fired = 0};
        is_ready_.store(false, std::memory_order_release);
        return old;
    });
    if (first == Instant::max()) {
        bell_.cancel();
    } else {
        bell_.set(first);
    }
    return before;
}

TimerSchedule TimerFile::schedule() {
    const Instant time = now();
    return state_.with([&](State& state) {
        state.advance(time);
        return left_of(state, time);
    });
}

void TimerFile::Bell::ring() {
    const bool is_ready = file_.state_.with([&](State& state) {
        state.advance(now());
        file_.is_ready_.store(state.fired != 0, std::memory_order_release);
        return state.fired != 0;
    });
    // What fires again and again rings again after it was read: who does not read is told once.
    if (is_ready) {
        file_.readers_.wake_all();
        file_.poll_queue_.notify(poll_event::readable);
    }
}

Outcome<std::size_t> TimerFile::do_read(std::uint64_t&, Target& target) {
    if (target.left() < sizeof(std::uint64_t)) {
        return fail(Errno::einval);
    }
    while (true) {
        Instant next = Instant::max();
        const std::uint64_t fired = state_.with([&](State& state) {
            state.advance(now());
            is_ready_.store(false, std::memory_order_release);
            next = state.next;
            return std::exchange(state.fired, 0);
        });
        if (fired != 0) {
            if (next != Instant::max()) {
                bell_.set(next);
            }
            return target.put(bytes_of(fired));
        }
        if (is_nonblocking()) {
            return fail(Errno::eagain);
        }
        PV_TRY(wait(readers_, [&] { return is_ready_.load(std::memory_order_acquire); }));
    }
}

std::uint32_t TimerFile::poll(Watcher* watcher) {
    if (watcher != nullptr) {
        poll_queue_.add(*watcher);
    }
    const bool is_due =
        state_.with([](const State& state) { return state.fired != 0 || state.next <= now(); });
    return is_due ? poll_event::readable : 0;
}

std::string_view TimerFile::label(std::span<char> room) const {
    return put_label(room, "anon_inode:[timerfd]");
}

}  // namespace pv::fs
