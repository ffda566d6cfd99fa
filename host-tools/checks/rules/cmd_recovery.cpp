// cmd-recovery: a recovery goes from step to step within each step's deadline, ends, and holds what it holds.
// SPDX-License-Identifier: MIT
#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <set>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "checks/findings.hpp"
#include "checks/limits.hpp"
#include "checks/model/world.hpp"
#include "checks/rules/rules.hpp"
#include "checks/text.hpp"

namespace pv::checks {
namespace {

using trace::Kind;

constexpr std::size_t most_queues = 65'536;

std::string_view step_name(std::uint64_t step) {
    switch (step) {
        case PV_RECOVERY_ABORT:
            return "abort";
        case PV_RECOVERY_WAIT:
            return "wait";
        case PV_RECOVERY_QUEUE:
            return "making a queue again";
        case PV_RECOVERY_RESET:
            return "reset";
        case PV_RECOVERY_DEAD:
            return "giving up";
        default:
            return "step";
    }
}

class CmdRecovery final : public Rule {
  public:
    using Rule::Rule;

    void on_event(const trace::Event& event) override {
        const auto bdf = static_cast<Bdf>(event.args[0]);
        switch (event.kind) {
            case Kind::marker_hello:
                open_.clear();  // another guest, or this one from the start
                suspended_.clear();
                dead_.clear();
                break;
            case Kind::marker_device:
                dead_.erase(bdf);
                break;
            case Kind::marker_device_dead:
                if (dead_.size() < limits().devices) {
                    dead_.insert_or_assign(bdf, place_of(event));
                }
                break;
            case Kind::marker_queue_suspend:
                if (suspended_.size() < most_queues) {
                    suspended_.emplace(bdf, event.args[1]);
                }
                break;
            case Kind::marker_queue_resume:
                suspended_.erase({bdf, event.args[1]});
                break;
            case Kind::marker_queue_delete:
                suspended_.erase({bdf, event.args[2]});
                break;
            case Kind::marker_recovery_begin:
                begin(event, bdf);
                break;
            case Kind::marker_recovery_step:
                step(event, bdf);
                break;
            case Kind::marker_command_abort_end:
                abort_ended(event, bdf);
                break;
            case Kind::marker_recovery_end:
                end(event, bdf);
                break;
            case Kind::lifecycle:
                // From here on the host ends the guest: no driver can act any more.
                if (world().devices().text(trace::get<Kind::lifecycle, "state_text">(event)) == "ending") {
                    judge_open(false);
                }
                break;
            default:
                break;
        }
    }

    void on_submit(const Command& command) override {
        const auto dead = dead_.find(command.bdf);
        const bool held = suspended_.contains({command.bdf, command.queue});
        if (dead == dead_.end() && !held) {
            return;
        }
        Draft draft;
        draft.at = command.submitted;
        draft.bdf = command.bdf;
        draft.title =
            fmt::format("{}: {} submitted {}", world().devices().name(command.bdf), describe(command),
                        held ? "while a recovery holds the queue" : "to a device that was given up");
        draft.lines.push_back(fmt::format("submitted: {}", where(world(), command.submitted)));
        draft.events.push_back({command.submitted.sequence, "submitted"});
        if (!held) {
            draft.lines.push_back(fmt::format("given up: {}", where(world(), dead->second)));
            draft.events.push_back({dead->second.sequence, "given up"});
        }
        draft.cause = fmt::format("submitted/{}/{}", command.bdf, held);
        report(std::move(draft));
    }

    void finish(bool finished) override { judge_open(finished); }

    [[nodiscard]] Observed observed() const override {
        if (recoveries_ != 0) {
            return {recoveries_, {}};
        }
        const std::string why = missing(PV_FEATURE_COMMANDS, "commands and recoveries");
        return why.empty() ? Observed{0, "no device needed a recovery", true} : Observed{0, why};
    }

  private:
    struct Recovery {
        std::uint64_t id = 0;
        Place begun;
        Place stepped;
        std::uint64_t step = 0;      ///< pv_recovery_step; 0: none goes on
        std::uint64_t deadline = 0;  ///< of the step, nanoseconds; 0: none stated
        std::int64_t stood = 0;      ///< Standstill::total() when the step began
    };

    void begin(const trace::Event& event, Bdf bdf) {
        ++recoveries_;
        const auto earlier = open_.find(bdf);
        if (earlier != open_.end()) {
            never_ended(earlier->second, bdf, place_of(event));
        } else if (open_.size() >= limits().devices) {
            return;
        }
        open_.insert_or_assign(bdf, Recovery{.id = event.args[1],
                                             .begun = place_of(event),
                                             .stepped = place_of(event),
                                             .step = 0,
                                             .deadline = 0,
                                             .stood = 0});
    }

    Recovery* find(const trace::Event& event, Bdf bdf) {
        const auto found = open_.find(bdf);
        return found == open_.end() || found->second.id != event.args[1] ? nullptr : &found->second;
    }

    void step(const trace::Event& event, Bdf bdf) {
        Recovery* recovery = find(event, bdf);
        if (recovery == nullptr) {
            return;
        }
        judge(*recovery, bdf, place_of(event));
        recovery->stepped = place_of(event);
        recovery->step = trace::get<Kind::marker_recovery_step, "step">(event);
        recovery->deadline = trace::get<Kind::marker_recovery_step, "deadline">(event);
        recovery->stood = world().standstill().total();
    }

    /// The device's answer ends the step; a wait that was stated before may go on.
    void abort_ended(const trace::Event& event, Bdf bdf) {
        const auto found = open_.find(bdf);
        if (found != open_.end() && found->second.step == PV_RECOVERY_ABORT) {
            judge(found->second, bdf, place_of(event));
            found->second.step = 0;
        }
    }

    void end(const trace::Event& event, Bdf bdf) {
        Recovery* recovery = find(event, bdf);
        if (recovery == nullptr) {
            return;
        }
        judge(*recovery, bdf, place_of(event));
        const auto dead = dead_.find(bdf);
        const bool given_up = trace::get<Kind::marker_recovery_end, "result">(event) != 0;
        if (given_up != (dead != dead_.end())) {
            Draft draft = drafted(*recovery, bdf, place_of(event));
            draft.title = fmt::format(
                "{}: recovery {} ends as {}", world().devices().name(bdf), recovery->id,
                given_up ? "given up, and the device was not" : "good, and the device was given up");
            draft.cause = fmt::format("result/{}", bdf);
            report(std::move(draft));
        }
        open_.erase(bdf);
    }

    void judge(const Recovery& recovery, Bdf bdf, const Place& at) {
        if (recovery.step == 0 || recovery.deadline == 0 || recovery.deadline > longest_deadline) {
            return;
        }
        const std::int64_t stood = world().standstill().total() - recovery.stood;
        const std::int64_t took = at.time - recovery.stepped.time;
        if (took <= world().guest().allowed(recovery.deadline) + stood + limits().clock_tolerance) {
            return;
        }
        Draft draft = drafted(recovery, bdf, at);
        draft.title = fmt::format("{}: {} of recovery {} took {}, its deadline was {}",
                                  world().devices().name(bdf), step_name(recovery.step), recovery.id,
                                  duration(took), duration_of(recovery.deadline));
        draft.lines.push_back(fmt::format("step: {}", where(world(), recovery.stepped)));
        draft.lines.push_back(slack_text(world(), limits().clock_tolerance + stood));
        draft.events.push_back({recovery.stepped.sequence, "step"});
        draft.cause = fmt::format("step/{}/{}", bdf, recovery.step);
        report(std::move(draft));
    }

    void judge_open(bool finished) {
        for (const auto& [bdf, recovery] : open_) {
            if (finished) {
                never_ended(recovery, bdf, world().now());
            } else if (!world().standstill().now()) {
                judge(recovery, bdf, world().now());
            }
        }
        open_.clear();
    }

    void never_ended(const Recovery& recovery, Bdf bdf, const Place& at) {
        Draft draft = drafted(recovery, bdf, at);
        draft.title = fmt::format("{}: recovery {} never ended", world().devices().name(bdf), recovery.id);
        draft.cause = fmt::format("open/{}", bdf);
        report(std::move(draft));
    }

    Draft drafted(const Recovery& recovery, Bdf bdf, const Place& at) {
        Draft draft;
        draft.at = at;
        draft.bdf = bdf;
        draft.lines.push_back(fmt::format("device: {}", world().devices().long_name(bdf)));
        draft.lines.push_back(fmt::format("begun: {}", where(world(), recovery.begun)));
        draft.lines.push_back(fmt::format("seen: {}", where(world(), at)));
        draft.events.push_back({recovery.begun.sequence, "begun"});
        draft.events.push_back({at.sequence, "seen"});
        return draft;
    }

    std::unordered_map<Bdf, Recovery> open_;
    std::unordered_map<Bdf, Place> dead_;  ///< given up, and not taken again
    std::set<std::pair<Bdf, std::uint64_t>> suspended_;
    std::uint64_t recoveries_ = 0;
};

}  // namespace

RuleInfo cmd_recovery_rule() {
    return {.name = "cmd-recovery",
            .summary = "A recovery keeps each step's deadline, ends, and holds what it holds",
            .severity = store::Severity::error,
            .evidence = "M",
            .unit = "recoveries",
            .needs_markers = true,
            .create = make_rule<CmdRecovery>};
}

}  // namespace pv::checks
