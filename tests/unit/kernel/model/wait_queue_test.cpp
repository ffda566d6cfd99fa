// The wait queue's protocol (task/wait_queue.hpp over task/park.hpp) in every order of its steps.
// SPDX-License-Identifier: MIT
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <compare>
#include <cstdint>

#include "model/explorer.hpp"

namespace pv::model {
namespace {

constexpr std::size_t waiters = 2;

/// What can be taken away from the protocol.
enum class Fault : std::uint8_t {
    none,
    looks_before_it_enlists,
    permit_is_dropped,
    leaver_passes_nothing_on,
    only_the_empty_handed_pass_on,
    waker_looks_before_it_changes,
};

// Each step is atomic because a lock makes it so, or because it is one access to memory.
enum class At : std::uint8_t { begin, enlist, look, park, parked, leave, pass_on, done };

// A waker makes a token, looks whether anybody is listed, without the lock, and wakes one if so.
enum class WakerAt : std::uint8_t { make, look, wake, done, look_first, make_then_wake, make_only };

struct Waiter {
    At at = At::begin;
    bool linked = false;
    bool woken = false;  ///< taken off the list by a waker
    bool permit = false;
    bool satisfied = false;
    bool has_deadline = false;
    bool expired = false;

    auto operator<=>(const Waiter&) const = default;
};

/// Tokens: a waiter is satisfied by taking one. Wakers: each makes one, then wakes one.
struct State {
    std::array<Waiter, waiters> all;
    std::array<WakerAt, waiters> wakers{};
    std::uint8_t tokens = 0;

    auto operator<=>(const State&) const = default;
};

bool take(State& state) {
    if (state.tokens == 0) {
        return false;
    }
    --state.tokens;
    return true;
}

// Whichever waiter is first on the list: any of them may be. Nothing happens when there is none.
void wake_one(const State& state, Fault fault, std::vector<State>& out) {
    bool any = false;
    for (std::size_t i = 0; i < waiters; ++i) {
        if (!state.all[i].linked) {
            continue;
        }
        any = true;
        State woken = state;
        Waiter& waiter = woken.all[i];
        waiter.linked = false;
        waiter.woken = true;
        if (waiter.at == At::parked) {
            waiter.at = At::enlist;
        } else if (fault != Fault::permit_is_dropped) {
            waiter.permit = true;
        }
        out.push_back(woken);
    }
    if (!any) {
        out.push_back(state);
    }
}

void step(State state, std::size_t who, Fault fault, std::vector<State>& out) {
    const bool looks_first = fault == Fault::looks_before_it_enlists;
    Waiter& w = state.all[who];
    switch (w.at) {
        case At::begin:
            w.satisfied = take(state);
            w.at = w.satisfied ? At::done : looks_first ? At::look : At::enlist;
            break;
        case At::enlist:
            if (!w.linked) {
                w.linked = true;
                w.woken = false;
            }
            w.at = looks_first ? At::park : At::look;
            break;
        case At::look:
            w.satisfied = take(state);
            w.at = w.satisfied || w.expired ? At::leave : looks_first ? At::enlist : At::park;
            break;
        case At::park:
            w.at = !w.permit && !w.expired ? At::parked : looks_first ? At::look : At::enlist;
            w.permit = false;
            break;
        case At::leave: {
            const bool picked = !w.linked && w.woken;
            const bool passes_on = fault == Fault::leaver_passes_nothing_on        ? false
                                   : fault == Fault::only_the_empty_handed_pass_on ? picked && !w.satisfied
                                                                                   : picked;
            w.at = passes_on ? At::pass_on : At::done;
            w.linked = false;
            break;
        }
        case At::pass_on:
            w.at = At::done;
            wake_one(state, fault, out);
            return;
        case At::parked:
        case At::done:
            return;
    }
    out.push_back(state);
}

void step_waker(State state, std::size_t who, Fault fault, std::vector<State>& out) {
    WakerAt& at = state.wakers[who];
    const bool any_listed = std::ranges::any_of(state.all, &Waiter::linked);
    switch (at) {
        case WakerAt::make:
            ++state.tokens;
            at = WakerAt::look;
            break;
        case WakerAt::look:
            at = any_listed ? WakerAt::wake : WakerAt::done;
            break;
        case WakerAt::wake:
            at = WakerAt::done;
            wake_one(state, fault, out);
            return;
        case WakerAt::look_first:
            at = any_listed ? WakerAt::make_then_wake : WakerAt::make_only;
            break;
        case WakerAt::make_then_wake:
        case WakerAt::make_only:
            ++state.tokens;
            at = at == WakerAt::make_only ? WakerAt::done : WakerAt::wake;
            break;
        case WakerAt::done:
            return;
    }
    out.push_back(state);
}

std::vector<State> next(const State& state, Fault fault) {
    std::vector<State> out;
    for (std::size_t i = 0; i < waiters; ++i) {
        step(state, i, fault, out);
        const Waiter& waiter = state.all[i];
        if (waiter.has_deadline && !waiter.expired && waiter.at != At::done) {
            State late = state;
            late.all[i].expired = true;
            if (waiter.at == At::parked) {
                late.all[i].at = At::enlist;
            }
            out.push_back(late);
        }
    }
    for (std::size_t i = 0; i < state.wakers.size(); ++i) {
        step_waker(state, i, fault, out);
    }
    return out;
}

Outcome check(Fault fault, bool first_has_deadline) {
    State begin;
    begin.all[0].has_deadline = first_has_deadline;
    if (fault == Fault::waker_looks_before_it_changes) {
        begin.wakers.fill(WakerAt::look_first);
    }
    return explore<State>(
        begin, [fault](const State& state) { return next(state, fault); },
        [](const State& state, bool is_end) -> std::string {
            if (!is_end || state.tokens == 0) {
                return {};
            }
            for (const Waiter& waiter : state.all) {
                if (waiter.at == At::parked) {
                    return "a waiter sleeps for ever beside a token";
                }
            }
            return {};
        });
}

TEST(LedgerWaitQueueModel, NoWakeUpIsLost) {
    const Outcome outcome = check(Fault::none, false);
    EXPECT_EQ(outcome.wrong, "");
    EXPECT_GT(outcome.states, 100U);
}

TEST(LedgerWaitQueueModel, NoneIsLostWithAWaiterThatLeavesByItsDeadline) {
    EXPECT_EQ(check(Fault::none, true).wrong, "");
}

// The model sees what it is there to see.
TEST(LedgerWaitQueueModel, EachPartOfTheProtocolIsNeeded) {
    EXPECT_FALSE(check(Fault::looks_before_it_enlists, false).holds());
    EXPECT_FALSE(check(Fault::permit_is_dropped, false).holds());
    EXPECT_FALSE(check(Fault::waker_looks_before_it_changes, false).holds());
    EXPECT_FALSE(check(Fault::leaver_passes_nothing_on, true).holds());
    // One that has what it came for may be picked before it is off the list: that wake-up is another's.
    EXPECT_FALSE(check(Fault::only_the_empty_handed_pass_on, false).holds());
}

}  // namespace
}  // namespace pv::model
