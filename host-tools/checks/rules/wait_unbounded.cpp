// wait-unbounded: no wait in the kernel outlives its deadline, and none lacks one.
// SPDX-License-Identifier: MIT
#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <string_view>
#include <unordered_map>

#include "checks/findings.hpp"
#include "checks/limits.hpp"
#include "checks/model/world.hpp"
#include "checks/rules/rules.hpp"
#include "checks/text.hpp"

namespace pv::checks {
namespace {

using trace::Kind;

constexpr std::size_t most_processors = 4'096;

class WaitUnbounded final : public Rule {
  public:
    using Rule::Rule;

    void on_event(const trace::Event& event) override {
        switch (event.kind) {
            case Kind::marker_hello:
                waits_.clear();  // a guest that began again waits for nothing
                break;
            case Kind::marker_wait_begin:
                begin(event);
                break;
            case Kind::marker_wait_end:
                end(event);
                break;
            case Kind::marker_goodbye:
                judge_open(place_of(event));
                break;
            case Kind::lifecycle:
                // From here on the host ends the guest: nobody can wake up any more.
                if (world().devices().text(trace::get<Kind::lifecycle, "state_text">(event)) == "ending") {
                    judge_open(place_of(event));
                }
                break;
            default:
                break;
        }
        if (event.cpu >= 0) {
            seen_last_ = event.time;
            if (seen_.size() < most_processors || seen_.contains(event.cpu)) {
                seen_[event.cpu] = event.time;
            }
        }
    }

    void finish(bool finished) override {
        if (!finished) {
            judge_open(world().now());
        }
    }

    [[nodiscard]] Observed observed() const override {
        if (judged_ == 0) {
            const std::string why = missing(PV_FEATURE_WAITS, "waits");
            return {0, why.empty() ? "no thread waited" : why};
        }
        std::string note;
        if (idle_ != 0) {
            note = fmt::format("{} for work, which need no deadline", counted(idle_, "waits"));
        }
        if (dropped_ != 0) {
            note += fmt::format("{}{} were too many to follow", note.empty() ? "" : "; ",
                                counted(dropped_, "waits"));
        }
        return {judged_, note};
    }

  private:
    struct Wait {
        Place begun;
        std::uint64_t kind = 0;
        std::uint64_t deadline = 0;  ///< nanoseconds
        std::uint64_t object = 0;
        std::int64_t stood = 0;  ///< Standstill::total() when it began
    };

    void begin(const trace::Event& event) {
        const std::uint64_t kind = trace::get<Kind::marker_wait_begin, "kind">(event);
        if (!world().guest().promises(PV_FEATURE_WAITS)) {
            return;
        }
        idle_ += kind == PV_WAIT_IDLE ? 1 : 0;
        if (kind != PV_WAIT_QUEUE && kind != PV_WAIT_MEMORY) {
            return;  // registers are mmio-poll-unbounded's
        }
        ++judged_;
        const Wait wait{place_of(event), kind, trace::get<Kind::marker_wait_begin, "deadline">(event),
                        trace::get<Kind::marker_wait_begin, "object">(event), world().standstill().total()};
        if (wait.deadline > longest_deadline) {
            Draft draft = drafted(wait, wait.begun);
            draft.title = fmt::format("{} at {:#x} has no deadline", what(wait), wait.object);
            draft.cause = fmt::format("none/{:x}", wait.begun.pc);
            report(std::move(draft));
            return;
        }
        const std::uint64_t id = trace::get<Kind::marker_wait_begin, "wait">(event);
        if (waits_.size() >= limits().open_objects && !waits_.contains(id)) {
            ++dropped_;
            return;
        }
        waits_.insert_or_assign(id, wait);
    }

    void end(const trace::Event& event) {
        const auto found = waits_.find(trace::get<Kind::marker_wait_end, "wait">(event));
        if (found != waits_.end()) {
            judge(found->second, place_of(event), true);
            waits_.erase(found);
        }
    }

    void judge_open(const Place& at) {
        if (!world().standstill().now()) {
            for (const auto& [id, wait] : waits_) {
                judge(wait, at, false);
            }
        }
        waits_.clear();
    }

    /// Microseconds before `at` in which the host may have held the processor: nothing was seen of it from
    /// `due` on. A host that is short of processors wakes a guest late, and no guest can help that.
    [[nodiscard]] std::int64_t held_by_host(const Place& at, std::int64_t due) const {
        const auto seen = seen_.find(at.cpu);
        const std::int64_t last = std::max(seen == seen_.end() ? seen_last_ : seen->second, due);
        return std::clamp<std::int64_t>(at.time - last, 0, limits().silence);
    }

    void judge(const Wait& wait, const Place& at, bool ended) {
        const std::int64_t due = wait.begun.time + world().guest().allowed(wait.deadline);
        const std::int64_t host =
            limits().clock_tolerance + world().standstill().total() - wait.stood + held_by_host(at, due);
        if (at.time - due <= host) {
            return;
        }
        Draft draft = drafted(wait, at);
        draft.title = fmt::format("{} at {:#x} {} {}, its deadline was {}", what(wait), wait.object,
                                  ended ? "took" : "still goes on after", duration(at.time - wait.begun.time),
                                  duration_of(wait.deadline));
        draft.lines.push_back(fmt::format("{}: {}", ended ? "ended" : "seen", where(world(), at)));
        draft.lines.push_back(slack_text(world(), host));
        draft.events.push_back({at.sequence, ended ? "ended" : "seen"});
        draft.cause = fmt::format("late/{:x}", wait.begun.pc);
        report(std::move(draft));
    }

    static std::string_view what(const Wait& wait) {
        return wait.kind == PV_WAIT_QUEUE ? "a thread's wait on the queue" : "a wait for the memory";
    }

    Draft drafted(const Wait& wait, const Place& at) {
        Draft draft;
        draft.at = at;
        draft.lines.push_back(fmt::format("begun: {}", where(world(), wait.begun)));
        draft.events.push_back({wait.begun.sequence, "begun"});
        return draft;
    }

    std::unordered_map<std::uint64_t, Wait> waits_;        ///< by the guest's id
    std::unordered_map<std::int32_t, std::int64_t> seen_;  ///< a processor's last event
    std::int64_t seen_last_ = 0;                           ///< the last event of any processor
    std::uint64_t judged_ = 0;
    std::uint64_t idle_ = 0;
    std::uint64_t dropped_ = 0;
};

}  // namespace

RuleInfo wait_unbounded_rule() {
    return {.name = "wait-unbounded",
            .summary = "No wait in the kernel outlives its deadline, and none lacks one",
            .severity = store::Severity::error,
            .evidence = "M",
            .unit = "waits",
            .needs_markers = true,
            .create = make_rule<WaitUnbounded>};
}

}  // namespace pv::checks
