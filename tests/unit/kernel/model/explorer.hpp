// All orders in which a few actors can take their steps: a checker of small models.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <functional>
#include <set>
#include <string>
#include <vector>

namespace pv::model {

struct Outcome {
    std::size_t states = 0;
    std::string wrong;  ///< the first state found that must not be; empty when there is none

    [[nodiscard]] bool holds() const { return wrong.empty(); }
};

/// State: copyable, ordered by <=>. `next(state)` gives every state that one step of one actor leads to;
/// none: nobody can move. `judge(state, is_end)` says what is wrong with it, or nothing; is_end: nobody can
/// move. Explores all states reachable from `begin`, each once.
template <class State>
Outcome explore(const State& begin, const std::function<std::vector<State>(const State&)>& next,
                const std::function<std::string(const State&, bool)>& judge) {
    std::set<State> seen{begin};
    std::vector<State> open{begin};
    while (!open.empty()) {
        const State state = open.back();
        open.pop_back();
        const std::vector<State> followers = next(state);
        if (std::string wrong = judge(state, followers.empty()); !wrong.empty()) {
            return {seen.size(), std::move(wrong)};
        }
        for (const State& follower : followers) {
            if (seen.insert(follower).second) {
                open.push_back(follower);
            }
        }
    }
    return {seen.size(), {}};
}

}  // namespace pv::model
