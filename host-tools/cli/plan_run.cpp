// The steps of a fault plan.
// SPDX-License-Identifier: MIT
#include "cli/plan_run.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>
#include <utility>

namespace pv::cli {
namespace {

bool is_event(std::string_view name) {
    return std::ranges::find(trace::kinds, name, &trace::KindInfo::name) != trace::kinds.end();
}

}  // namespace

PlanRun::PlanRun(std::vector<faults::Step> steps, Perform perform, Note note)
    : perform_(std::move(perform)), note_(std::move(note)), schedule_(std::move(steps)) {}

PlanRun::~PlanRun() {
    stop();
}

void PlanRun::begin() {
    const std::scoped_lock hold(lock_);
    if (schedule_.left().empty()) {
        return;
    }
    schedule_.begin(Clock::now());
    thread_ = std::thread([this] { run(); });
}

void PlanRun::saw(trace::Kind kind) {
    const trace::KindInfo* info = trace::find(kind);
    const std::scoped_lock hold(lock_);
    if (info != nullptr && schedule_.waits_for(info->name)) {
        schedule_.saw(info->name, Clock::now());
        changed_.notify_all();
    }
}

void PlanRun::stop() {
    {
        const std::scoped_lock hold(lock_);
        stopping_ = true;
        changed_.notify_all();
    }
    if (thread_.joinable()) {
        thread_.join();
    }
}

std::vector<std::string> PlanRun::problems() const {
    const std::scoped_lock hold(lock_);
    std::vector<std::string> all = problems_;
    for (const faults::Step& step : schedule_.left()) {
        // A guest that ends first has no use for the end of a fault.
        if (step.action == faults::Step::Action::disarm) {
            continue;
        }
        all.push_back(fmt::format("the moment of '{}' never came", step.text));
    }
    return all;
}

void PlanRun::run() {
    std::unique_lock lock(lock_);
    while (!stopping_) {
        const std::vector<faults::Step> due = schedule_.due(Clock::now());
        if (due.empty()) {
            if (const auto next = schedule_.next()) {
                changed_.wait_until(lock, *next);
            } else {
                changed_.wait(lock);
            }
            continue;
        }
        lock.unlock();
        std::vector<std::string> failed;
        for (const faults::Step& step : due) {
            note_(step.text);
            if (const Result<> done = perform_(step); !done) {
                failed.push_back(fmt::format("'{}' was not possible: {}", step.text, done.error().message));
            }
        }
        lock.lock();
        problems_.insert(problems_.end(), failed.begin(), failed.end());
    }
}

Result<> check_events(const std::vector<faults::Step>& steps) {
    for (const faults::Step& step : steps) {
        const std::string& event = step.moment.event;
        if (event.empty() || is_event(event)) {
            continue;
        }
        const bool marker = is_event("marker_" + event);
        return fail(ExitStatus::usage, fmt::format("the plan waits for '{}', which no trace holds", event),
                    marker ? fmt::format("markers are called marker_{}", event)
                           : "docs/trace.md lists the events, and docs/markers.md the markers");
    }
    return {};
}

}  // namespace pv::cli
