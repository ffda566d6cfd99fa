// cmd-deadline: every command carries a deadline, and when it passes the driver acts within the slack.
// SPDX-License-Identifier: MIT
#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <set>
#include <utility>

#include "checks/findings.hpp"
#include "checks/limits.hpp"
#include "checks/model/world.hpp"
#include "checks/rules/access.hpp"
#include "checks/rules/rules.hpp"
#include "checks/text.hpp"

namespace pv::checks {
namespace {

class CmdDeadline final : public Rule {
  public:
    using Rule::Rule;

    void on_submit(const Command& command) override {
        ++stated_;
        if (command.deadline == 0 || command.deadline > longest_deadline) {
            Draft draft = command_draft(world(), command);
            draft.title = fmt::format("{}: {} submitted without a deadline",
                                      world().devices().name(command.bdf), describe(command));
            draft.cause = fmt::format("none/{}/{:x}", command.bdf, command.submitted.pc);
            report(std::move(draft));
            return;
        }
        watch(command,
              command.submitted.time + world().guest().allowed(command.deadline) + limits().clock_tolerance);
    }

    void on_take(const Command& command) override {
        if (!command.submitted) {
            ++unstated_;
            watch(command, command.taken.time + limits().command_deadline);
        }
    }

    void on_event(const trace::Event& event) override {
        if (stands_still()) {
            return;
        }
        while (!due_.empty() && due_.begin()->time < event.time) {
            const Due due = *due_.begin();
            due_.erase(due_.begin());
            judge(due);
        }
        // From here on the host ends the guest: its processors stand still, and no driver can act any more.
        if (event.kind == trace::Kind::lifecycle &&
            world().context().text(trace::get<trace::Kind::lifecycle, "state_text">(event)) == "ending") {
            ending_ = true;
            due_.clear();
        }
    }

    [[nodiscard]] Observed observed() const override {
        if (stated_ + unstated_ == 0) {
            return {0, "no command was sent to a device"};
        }
        std::string note;
        if (stated_ == 0) {
            note = fmt::format("no stated deadlines: commands were judged by the default of {}",
                               duration(limits().command_deadline));
        } else if (unstated_ != 0) {
            note = fmt::format("{} (firmware, or before hello) judged by the default of {}",
                               counted(unstated_, "commands"), duration(limits().command_deadline));
        }
        return {stated_ + unstated_, note};
    }

  private:
    struct Due {
        std::int64_t time;
        std::uint64_t serial;

        auto operator<=>(const Due&) const = default;
    };

    /// Time that QEMU took from the machine is added to what every command may take.
    bool stands_still() {
        const std::int64_t stood = world().standstill().total() - stood_;
        if (stood > limits().clock_tolerance) {
            std::set<Due> later;
            for (const Due& due : due_) {
                later.insert({due.time + stood, due.serial});
            }
            due_ = std::move(later);
        }
        stood_ += stood;
        return world().standstill().now();
    }

    void watch(const Command& command, std::int64_t time) {
        if (!ending_ && due_.size() < limits().open_objects) {
            due_.insert({time, command.serial});
        }
    }

    void judge(const Due& due) {
        const Command* command = world().ledger().find(due.serial);
        if (command == nullptr || command->waits_for_event || command->ambiguous) {
            return;
        }
        // Done by the device, and the driver silent about it: cmd-lost's.
        if (command->completed || command->acknowledged || command->timed_out || command->failed ||
            command->reset || command->aborted) {
            return;
        }
        Draft draft = command_draft(world(), *command);
        const std::string_view name = "the driver did nothing";
        draft.title = fmt::format("{}: {} still waits after {}, {}", world().devices().name(command->bdf),
                                  describe(*command), duration(due.time - command->begun().time), name);
        draft.lines.push_back(
            command->submitted
                ? fmt::format("deadline: {} after submission, plus {} slack and {} for the host",
                              duration_of(command->deadline), duration_of(world().guest().slack()),
                              duration(limits().clock_tolerance))
                : fmt::format("deadline: none stated; {} is the default",
                              duration(limits().command_deadline)));
        draft.cause = fmt::format("late/{}/{}", command->bdf, command->operation);
        report(std::move(draft));
    }

    std::int64_t stood_ = 0;  ///< Standstill::total() that was added so far
    bool ending_ = false;     ///< the host has begun to end the guest
    std::set<Due> due_;
    std::uint64_t stated_ = 0;
    std::uint64_t unstated_ = 0;
};

}  // namespace

RuleInfo cmd_deadline_rule() {
    return {
        .name = "cmd-deadline",
        .summary = "Every command carries a deadline, and when it passes the driver acts within its slack",
        .severity = store::Severity::error,
        .evidence = "E M",
        .unit = "commands",
        .needs_markers = false,
        .create = make_rule<CmdDeadline>};
}

}  // namespace pv::checks
