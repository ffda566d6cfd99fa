// Steps and their moments.
// SPDX-License-Identifier: MIT
#include "faults/schedule.hpp"

#include <algorithm>
#include <utility>

namespace pv::faults {

std::vector<Schedule::Pending> Schedule::make(std::vector<Step> steps) {
    std::vector<Pending> pending;
    for (Step& step : steps) {
        pending.push_back({.step = std::move(step), .seen = 0, .at = std::nullopt});
    }
    return pending;
}

void Schedule::begin(Clock::time_point now) {
    for (Pending& pending : pending_) {
        if (pending.step.moment.event.empty()) {
            pending.at = now + pending.step.moment.delay;
        }
    }
}

void Schedule::saw(std::string_view event, Clock::time_point now) {
    for (Pending& pending : pending_) {
        const Moment& moment = pending.step.moment;
        if (!pending.at && moment.event == event && ++pending.seen == moment.nth) {
            pending.at = now + moment.delay;
        }
    }
}

bool Schedule::waits_for(std::string_view event) const {
    return std::ranges::any_of(
        pending_, [&](const Pending& p) { return !p.at.has_value() && p.step.moment.event == event; });
}

std::vector<Step> Schedule::due(Clock::time_point now) {
    std::ranges::stable_sort(pending_, {},
                             [](const Pending& p) { return p.at.value_or(Clock::time_point::max()); });
    std::vector<Step> steps;
    const auto first_left = std::ranges::find_if(
        pending_, [&](const Pending& p) { return p.at.value_or(Clock::time_point::max()) > now; });
    for (auto pending = pending_.begin(); pending != first_left; ++pending) {
        steps.push_back(std::move(pending->step));
    }
    pending_.erase(pending_.begin(), first_left);
    return steps;
}

std::optional<Schedule::Clock::time_point> Schedule::next() const {
    std::optional<Clock::time_point> earliest;
    for (const Pending& pending : pending_) {
        if (pending.at && (!earliest || *pending.at < *earliest)) {
            earliest = pending.at;
        }
    }
    return earliest;
}

std::vector<Step> Schedule::left() const {
    std::vector<Step> steps;
    for (const Pending& pending : pending_) {
        steps.push_back(pending.step);
    }
    return steps;
}

}  // namespace pv::faults
