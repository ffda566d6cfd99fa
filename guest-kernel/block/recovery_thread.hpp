// The thread that climbs a device's recovery ladder: woken, asked to leave, counted, ended.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "base/atomic.hpp"
#include "base/deadline.hpp"
#include "base/marker.hpp"
#include "base/result.hpp"
#include "base/time.hpp"
#include "task/thread.hpp"
#include "task/wait_queue.hpp"

namespace pv::block {

/// Said of a device whose registers read as all ones.
inline constexpr std::string_view gone_words = "its registers do not answer: it was removed";

/// Base of the recoveries of drivers. What there is to do is the derived class's: `climb`, called on one
/// thread, which waits for nothing else; whoever derives ends the thread before its own members go. Any
/// context, except as said.
class RecoveryThread {
  public:
    RecoveryThread(const RecoveryThread&) = delete;
    RecoveryThread& operator=(const RecoveryThread&) = delete;

    /// Something is overdue, or slow, or wrong: look. Never sleeps.
    void look();

    /// The device is to leave its slot: nothing more is submitted, what is outstanding has until `patience`
    /// to end, then it is given up. Never sleeps. dead() says when.
    void leave(Duration patience);

    /// The device was given up.
    [[nodiscard]] bool dead() const { return dead_.load(std::memory_order_acquire); }

    [[nodiscard]] bool under_way() const { return id_.load(std::memory_order_relaxed) != 0; }

    /// The same in words: "given up", "a recovery is under way", "in service".
    [[nodiscard]] std::string_view state() const;

    /// Recoveries so far.
    [[nodiscard]] std::uint64_t begun() const { return begun_.load(std::memory_order_relaxed); }

  protected:
    /// `name` outlives it.
    RecoveryThread(std::string_view name, marker::Device device) : name_{name}, device_{device} {}

    ~RecoveryThread();

    /// Errors: out_of_memory.
    [[nodiscard]] Result<> start(std::string_view thread);
    /// Ends the thread, which finishes the step it is at: the device is the caller's alone then. `longest`:
    /// what such a step may take. Threads only.
    void end_thread(Duration longest);

    [[nodiscard]] bool running() const { return thread_.joinable(); }

    // What follows is for the thread alone.

    /// Looks at the device, and does what there is to do.
    virtual void climb() = 0;

    /// How long the device was given to leave; nothing: it stays.
    [[nodiscard]] std::optional<Duration> leaving() const;

    /// Emits recovery_begin, unless one is under way.
    void begin(marker::Reason reason);
    void mark(marker::RecoveryStep step, Duration deadline, std::uint64_t queue = 0);
    /// Emits recovery_end; `serves`: the device is in service.
    void end(bool serves);
    /// Emits device_dead, and ends the recovery.
    void end_dead(marker::Reason reason);

    /// When `climb` is wanted though nobody asks.
    void look_again_at(std::optional<Instant> due) { due_ = due; }

    [[nodiscard]] std::optional<Instant> looks_again_at() const { return due_; }

    /// Steps in a row that `succeeded` commands, counted since boot, did not grow between: this one too.
    [[nodiscard]] unsigned useless(std::uint64_t succeeded);

  private:
    void serve();

    std::string_view name_;
    marker::Device device_;
    Atomic<std::uint64_t> begun_{0};
    Atomic<std::uint64_t> id_{0};  ///< of the recovery under way, 0 = none
    std::optional<Instant> due_;
    std::uint64_t progress_ = 0;  ///< successes at the last step
    unsigned useless_ = 0;        ///< steps since, without one more
    Atomic<bool> dead_{false};
    Atomic<bool> asked_{false};
    Atomic<bool> stopping_{false};
    Atomic<std::uint64_t> leaves_{0};  ///< how long it has for that, in nanoseconds; 0: it stays
    task::WaitQueue work_;
    task::Thread thread_;
};

}  // namespace pv::block
