// Signals: what is pending, what is blocked, what a program wants done. Values are Linux's.
// SPDX-License-Identifier: MIT
#pragma once

#include <signal.h>

#include <array>
#include <boost/intrusive/list.hpp>
#include <cstdint>

#include "base/address.hpp"
#include "base/atomic.hpp"
#include "base/ref.hpp"

namespace pv::task {

/// Bit n - 1 is signal n, 1 to 64.
using SignalSet = std::uint64_t;
inline constexpr int signal_count = 64;
/// From here on signals wait as often as they were sent.
inline constexpr int first_real_time_signal = 32;

[[nodiscard]] constexpr SignalSet bit_of(int signal) {
    return SignalSet{1} << (signal - 1);
}

/// What cannot be blocked, caught or ignored.
inline constexpr SignalSet unstoppable = SignalSet{1} << (SIGKILL - 1) | SignalSet{1} << (SIGSTOP - 1);

using SignalInfo = siginfo_t;

/// As rt_sigaction(2) gives it to the kernel.
struct SignalAction {
    std::uint64_t handler = 0;  ///< SIG_DFL (0), SIG_IGN (1) or an address
    std::uint64_t flags = 0;
    std::uint64_t restorer = 0;
    SignalSet mask = 0;
};

static_assert(sizeof(SignalAction) == 32);

/// What one process (or several, CLONE_SIGHAND) does about each signal. Guarded by the tree's lock.
struct SignalActions final : RefCounted {
    std::array<SignalAction, signal_count> of{};

    [[nodiscard]] SignalAction& operator[](int signal) { return of[static_cast<std::size_t>(signal - 1)]; }
};

/// Signals sent and not yet taken. Guarded by the tree's lock.
class PendingSignals {
  public:
    PendingSignals() = default;
    PendingSignals(const PendingSignals&) = delete;
    PendingSignals& operator=(const PendingSignals&) = delete;

    ~PendingSignals() { forget(~SignalSet{0}); }

    struct Queued
        : boost::intrusive::list_base_hook<boost::intrusive::link_mode<boost::intrusive::normal_link>> {
        SignalInfo info{};
    };

    [[nodiscard]] SignalSet set() const { return set_.load(std::memory_order_relaxed); }

    /// How many are queued, repeated ones counted each.
    [[nodiscard]] std::size_t count() const { return count_; }

    /// Adds one. Signals below 32 are kept once, the others as often as they are sent. `entry`, from the
    /// heap, or nullptr when there was no memory: the signal then comes without its information. What is not
    /// needed is given back in `unused`.
    void add(int signal, Queued* entry, Queued*& unused);
    /// Takes the lowest of `wanted`, faults first. 0 when none is pending.
    [[nodiscard]] int take(SignalSet wanted, SignalInfo& info);
    void forget(SignalSet which);
    /// Where a signal of timer `id` waits, it has come `turns` times more. False when none does.
    bool add_overrun(int id, int turns);

  private:
    Atomic<SignalSet> set_{0};  ///< read by others as a hint
    std::size_t count_ = 0;
    boost::intrusive::list<Queued, boost::intrusive::constant_time_size<false>> queue_;
};

/// What happens where a program wants nothing in particular (signal(7)).
enum class DefaultAction : std::uint8_t { end, end_with_core, ignore, stop, go_on };
[[nodiscard]] DefaultAction default_action(int signal);

}  // namespace pv::task
