// timerfd(2): a timer that is read and waited for as a file.
// SPDX-License-Identifier: MIT
#pragma once

#include "base/atomic.hpp"
#include "fs/alarm.hpp"
#include "fs/open_file.hpp"
#include "task/wait_queue.hpp"

namespace pv::fs {

/// When a timer fires next, and how often from then on.
struct TimerSchedule {
    Duration left;      ///< zero: it does not fire
    Duration interval;  ///< zero: once
};

class TimerFile final : public OpenFile {
  public:
    /// `is_wall`: its absolute moments are of the wall clock. Errors: enomem.
    [[nodiscard]] static Outcome<Ref<TimerFile>> create(bool is_wall, std::uint32_t flags);

    /// Sets it and returns what was left before. `first`: when it fires first; Instant::max(): never.
    TimerSchedule set(Instant first, Duration interval);
    [[nodiscard]] TimerSchedule schedule();

    [[nodiscard]] bool is_wall() const { return is_wall_; }

    std::uint32_t poll(Watcher* watcher) override;
    std::string_view label(std::span<char> room) const override;

    [[nodiscard]] FileKind kind() const override { return FileKind::timer; }

  protected:
    /// Eight bytes: how often it fired since the last read.
    Outcome<std::size_t> do_read(std::uint64_t& position, Target& target) override;

  private:
    struct State {
        Instant next = Instant::max();  ///< when it fires; max: never
        Duration interval;
        std::uint64_t fired = 0;  ///< and not read

        /// Counts what is due, and moves `next` on.
        void advance(Instant time);
    };

    class Bell final : public Alarm {
      public:
        explicit Bell(TimerFile& file) : Alarm(file), file_(file) {}

        void ring() override;

      private:
        TimerFile& file_;
    };

    TimerFile(bool is_wall, std::uint32_t flags)
        : OpenFile({}, open_flag::read_write | (flags & open_flag::nonblock), Flow::event),
          is_wall_(is_wall) {}

    static TimerSchedule left_of(const State& state, Instant time);

    const bool is_wall_;
    task::Guarded<State, task::Rank::leaf> state_;
    Atomic<bool> is_ready_{false};
    task::WaitQueue readers_;
    PollQueue poll_queue_;
    Bell bell_{*this};
};

}  // namespace pv::fs
