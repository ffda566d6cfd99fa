// The shootdown's protocol (arch/x86_64/tlb.hpp) in every order of its steps, senders that give up included.
// SPDX-License-Identifier: MIT
#include <gtest/gtest.h>

#include <array>
#include <compare>
#include <cstdint>

#include "model/explorer.hpp"

namespace pv::model {
namespace {

// CPUs 0 and 1 each take one page away and reuse its frame; CPU 2 only uses both pages.
constexpr std::size_t cpus = 3;
constexpr std::size_t senders = 2;

/// What can be taken away from the protocol.
enum class Fault : std::uint8_t {
    none,
    does_not_wait,  ///< reuses the frame without the answers
    answers_first,  ///< acknowledges, then invalidates
    spins_deaf,     ///< serves nobody while it waits for its turn
    no_turns,       ///< two senders write the record at once
    owes_nothing,   ///< forgets that a sender gave up on it
};

enum class At : std::uint8_t { change, local, turn, number, range, ask, wait, done_ok, gave_up };
enum class Serving : std::uint8_t { idle, read_range, compare, acknowledge, late_forget };

struct Sender {
    At at = At::change;
    std::uint8_t number = 0;

    auto operator<=>(const Sender&) const = default;
};

struct Receiver {
    std::uint8_t requested = 0;
    std::uint8_t acknowledged = 0;
    bool overdue = false;
    Serving serving = Serving::idle;
    std::uint8_t serves = 0;                          ///< the request
    std::uint8_t page = 0;                            ///< what it read of the record
    std::array<bool, senders> holds_old{true, true};  ///< in the TLB

    auto operator<=>(const Receiver&) const = default;
};

struct State {
    std::array<Sender, senders> sender;
    std::array<Receiver, cpus> cpu;
    std::array<bool, senders> is_old{true, true};  ///< in the page tables
    std::array<bool, senders> reused{};
    std::uint8_t record_number = 0;
    std::uint8_t record_page = 0;
    std::uint8_t turn = cpus;  ///< whose it is; cpus: nobody's

    auto operator<=>(const State&) const = default;
};

// Interrupts are off from the change on, until the sender is done: it serves only where it spins.
bool may_begin_to_serve(const State& state, std::size_t cpu, Fault fault) {
    if (cpu >= senders) {
        return true;
    }
    const At at = state.sender[cpu].at;
    return at == At::change || at == At::done_ok || at == At::gave_up ||
           (at == At::turn && fault != Fault::spins_deaf);
}

void serve(State state, std::size_t cpu, Fault fault, std::vector<State>& out) {
    Receiver& r = state.cpu[cpu];
    switch (r.serving) {
        case Serving::idle:
            if (r.acknowledged >= r.requested || !may_begin_to_serve(state, cpu, fault)) {
                return;
            }
            r.serves = r.requested;
            r.serving = fault == Fault::answers_first ? Serving::acknowledge : Serving::read_range;
            break;
        case Serving::read_range:
            r.page = state.record_page;
            r.serving = Serving::compare;
            break;
        case Serving::compare: {
            const bool is_whole = state.record_number == r.serves;
            if (is_whole && !r.overdue) {
                r.holds_old[r.page] = false;
            } else {
                r.overdue = false;
                r.holds_old = {};
            }
            r.serving = Serving::acknowledge;
            break;
        }
        case Serving::acknowledge:
            r.acknowledged = r.serves;
            r.serving = fault == Fault::answers_first ? Serving::late_forget : Serving::idle;
            break;
        case Serving::late_forget:
            r.holds_old = {};
            r.serving = Serving::idle;
            break;
    }
    out.push_back(state);
}

void send(State state, std::size_t who, Fault fault, bool may_give_up, std::vector<State>& out) {
    Sender& s = state.sender[who];
    // What it serves meanwhile it finishes first.
    if (state.cpu[who].serving != Serving::idle) {
        return;
    }
    switch (s.at) {
        case At::change:
            state.is_old[who] = false;
            s.at = At::local;
            break;
        case At::local:
            state.cpu[who].holds_old[who] = false;
            s.at = At::turn;
            break;
        case At::turn:
            if (state.turn != cpus && fault != Fault::no_turns) {
                return;
            }
            state.turn = static_cast<std::uint8_t>(who);
            s.at = At::number;
            break;
        case At::number:
            s.number = static_cast<std::uint8_t>(state.record_number + 1);
            state.record_number = s.number;
            s.at = At::range;
            break;
        case At::range:
            state.record_page = static_cast<std::uint8_t>(who);
            s.at = At::ask;
            break;
        case At::ask:
            for (std::size_t i = 0; i < cpus; ++i) {
                if (i != who) {
                    state.cpu[i].requested = s.number;
                }
            }
            s.at = At::wait;
            break;
        case At::wait: {
            bool all = true;
            for (std::size_t i = 0; i < cpus; ++i) {
                all = all && (i == who || state.cpu[i].acknowledged >= s.number);
            }
            if (!all && may_give_up) {
                State tired = state;
                for (std::size_t i = 0; i < cpus; ++i) {
                    if (i != who && state.cpu[i].acknowledged < s.number) {
                        tired.cpu[i].overdue = fault != Fault::owes_nothing;
                    }
                }
                tired.sender[who].at = At::gave_up;
                tired.turn = cpus;
                out.push_back(tired);
            }
            if (!all && fault != Fault::does_not_wait) {
                return;
            }
            state.reused[who] = true;
            state.turn = cpus;
            s.at = At::done_ok;
            break;
        }
        case At::done_ok:
        case At::gave_up:
            return;
    }
    out.push_back(state);
}

std::vector<State> next(const State& state, Fault fault, bool may_give_up) {
    std::vector<State> out;
    for (std::size_t i = 0; i < senders; ++i) {
        send(state, i, fault, may_give_up, out);
    }
    for (std::size_t i = 0; i < cpus; ++i) {
        serve(state, i, fault, out);
        // A processor walks the tables whenever it likes; what it finds after the change is the new entry.
        for (std::size_t page = 0; page < senders; ++page) {
            if (state.is_old[page] && !state.cpu[i].holds_old[page]) {
                State walked = state;
                walked.cpu[i].holds_old[page] = true;
                out.push_back(walked);
            }
        }
    }
    return out;
}

Outcome check(Fault fault, bool may_give_up) {
    return explore<State>(
        State{}, [=](const State& state) { return next(state, fault, may_give_up); },
        [](const State& state, bool is_end) -> std::string {
            for (std::size_t page = 0; page < senders; ++page) {
                for (const Receiver& cpu : state.cpu) {
                    if (state.reused[page] && cpu.holds_old[page]) {
                        return "a frame is reused while a CPU has the old entry";
                    }
                    if (is_end && cpu.holds_old[page]) {
                        return "a CPU keeps an old entry for ever";
                    }
                }
            }
            for (const Sender& sender : state.sender) {
                if (is_end && sender.at != At::done_ok && sender.at != At::gave_up) {
                    return "a sender waits for ever";
                }
            }
            return {};
        });
}

TEST(LedgerShootdownModel, NoFrameIsReusedWhileACpuHasTheOldEntry) {
    const Outcome outcome = check(Fault::none, false);
    EXPECT_EQ(outcome.wrong, "");
    EXPECT_GT(outcome.states, 150U);
}

TEST(LedgerShootdownModel, NorWhenSendersGiveUp) {
    EXPECT_EQ(check(Fault::none, true).wrong, "");
}

// The model sees what it is there to see.
TEST(LedgerShootdownModel, EachPartOfTheProtocolIsNeeded) {
    for (const Fault fault :
         {Fault::does_not_wait, Fault::answers_first, Fault::spins_deaf, Fault::no_turns}) {
        EXPECT_FALSE(check(fault, false).holds()) << static_cast<int>(fault);
    }
    EXPECT_FALSE(check(Fault::owes_nothing, true).holds());
}

}  // namespace
}  // namespace pv::model
