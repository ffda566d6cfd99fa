// Locks that know their rank, and data that can be reached only under its lock.
// SPDX-License-Identifier: MIT
#pragma once

#include <type_traits>
#include <utility>

#include "base/atomic.hpp"
#include "base/deadline.hpp"
#include "base/result.hpp"
#include "task/lock_rank.hpp"
#include "task/on_first_use.hpp"
#include "task/spin_lock.hpp"
#include "task/wait_queue.hpp"

namespace pv::task {

/// Sleeps while taken by another thread. Threads only, no spinlock held. Not recursive.
class Mutex {
  public:
    constexpr explicit Mutex(Rank rank) : rank_(rank) {}

    Mutex(const Mutex&) = delete;
    Mutex& operator=(const Mutex&) = delete;

    /// Error: timed_out; the lock is then not held.
    Result<> lock(Deadline deadline);
    void unlock();

    [[nodiscard]] Rank rank() const { return rank_; }

  private:
    bool try_take();

    Atomic<bool> taken_{false};
    Rank rank_;
    WaitQueue waiters_;
};

/// Proof, at compile time, that a lock of rank R is held: handed to the function given to `with`.
template <Rank R>
class Held {
  public:
    Held(const Held&) = delete;
    Held& operator=(const Held&) = delete;

  private:
    template <class T, Rank Q>
    friend class Guarded;
    template <class T, Rank Q>
    friend class SleepGuarded;

    Held() = default;
};

/// A T that can be touched only with its spinlock held. `with(f)` calls f(T&) or f(T&, const Held<R>&) and
/// returns what f returns. Nested under another Guarded, pass that one's Held first: the order is then
/// checked when compiled; in all cases it is checked when run. A Guarded<OnFirstUse<T>, R> hands out its T.
template <class T, Rank R>
class Guarded {
    static_assert(!may_sleep_holding(R), "a spinlock needs a spinning rank");

  public:
    template <class... Args>
    constexpr explicit Guarded(Args&&... args) : value_(std::forward<Args>(args)...) {}

    template <class F>
    decltype(auto) with(F&& function) {
        SpinGuard guard(lock_);
        return call(std::forward<F>(function));
    }

    template <Rank Outer, class F>

        requires(Outer < R)  // locks are taken in the order of their ranks (task/lock_rank.hpp)
    decltype(auto) with(const Held<Outer>&, F&& function) {
        return with(std::forward<F>(function));
    }

    /// Without the lock: for the panic path and for construction, when nobody else runs.
    T& unguarded() { return value_; }

  private:
    template <class F>
    decltype(auto) call(F&& function) {
        auto& value = reach(value_);
        if constexpr (std::is_invocable_v<F, decltype(value), const Held<R>&>) {
            const Held<R> held;
            return std::forward<F>(function)(value, held);
        } else {
            return std::forward<F>(function)(value);
        }
    }

    template <class U>
    static U& reach(U& value) {
        return value;
    }

    template <class U>
    static U& reach(OnFirstUse<U>& value) {
        return *value;
    }

    SpinLock lock_{R};
    T value_;
};

/// The same with a sleeping lock: `with(deadline, f)` returns Result of what f returns, or timed_out without
/// having called it.
template <class T, Rank R>
class SleepGuarded {
    static_assert(may_sleep_holding(R), "a mutex needs a sleeping rank");

  public:
    template <class... Args>
    constexpr explicit SleepGuarded(Args&&... args) : value_(std::forward<Args>(args)...) {}

    template <class F>
    auto with(Deadline deadline, F&& function) -> Result<std::invoke_result_t<F, T&>> {
        PV_TRY(lock_.lock(deadline));

        struct Unlock {
            Mutex& lock;

            ~Unlock() { lock.unlock(); }
        } unlock{lock_};

        if constexpr (std::is_void_v<std::invoke_result_t<F, T&>>) {
            std::forward<F>(function)(value_);
            return {};
        } else {
            return std::forward<F>(function)(value_);
        }
    }

  private:
    Mutex lock_{R};
    T value_;
};

}  // namespace pv::task
