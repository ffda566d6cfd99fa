// cmd-lost: every command ends: completed, aborted, or failed by a reset.
// SPDX-License-Identifier: MIT
#include <fmt/format.h>

#include "checks/findings.hpp"
#include "checks/model/world.hpp"
#include "checks/rules/access.hpp"
#include "checks/rules/rules.hpp"
#include "checks/text.hpp"

namespace pv::checks {
namespace {

class CmdLost final : public Rule {
  public:
    using Rule::Rule;

    void finish(bool finished) override {
        finishing_ = true;
        // A goodbye is the guest's own word that its work is over.
        judging_ = finished || world().guest().goodbye();
    }

    void on_close(const Command& command) override {
        if (command.waits_for_event) {
            return;
        }
        ++commands_;
        if (!finishing_ || !judging_ || command.ambiguous || command.reset) {
            return;
        }
        if (!command.completed) {
            device_owes(command);
        } else if (command.submitted && !command.acknowledged && !command.failed && !command.timed_out &&
                   !command.refused && !command.shares_id) {  // that is cmd-duplicate's
            driver_forgot(command);
        }
    }

    [[nodiscard]] Observed observed() const override {
        if (commands_ == 0) {
            return {0, "no command was sent to a device"};
        }
        return {commands_,
                judging_ ? "" : "the guest did not finish: what was outstanding then is not judged"};
    }

  private:
    void device_owes(const Command& command) {
        constexpr std::int64_t grace = 1'000'000;
        if (command.failed && !command.taken) {
            return;  // never reached the device, and the caller knows
        }
        // Without markers nothing says whether somebody still waited: power-off may cut off the latest ones.
        const NvmeController* controller = world().nvme().find(command.bdf);
        if (!command.submitted && ((controller != nullptr && controller->shut_down) ||
                                   world().now().time - command.taken.time < grace)) {
            return;
        }
        Draft draft = drafted(command);
        draft.title = fmt::format("{}: {} never ended: no completion, no abort, no reset in {}",
                                  world().devices().name(command.bdf), describe(command),
                                  duration(world().now().time - command.begun().time));
        if (!command.taken) {
            draft.lines.push_back("device: never fetched it (no doorbell after it was made available?)");
        }
        draft.cause = fmt::format("device/{}/{}", command.bdf, command.operation);
        report(std::move(draft));
    }

    void driver_forgot(const Command& command) {
        Draft draft = drafted(command);
        draft.title = fmt::format("{}: {} was completed by the device, and the driver never noticed",
                                  world().devices().name(command.bdf), describe(command));
        draft.lines.push_back(fmt::format("completed: {}", where(world(), command.completed)));
        draft.events.push_back({command.completed.sequence, "completed"});
        draft.cause = fmt::format("driver/{}/{}", command.bdf, command.operation);
        report(std::move(draft));
    }

    Draft drafted(const Command& command) {
        Draft draft = command_draft(world(), command);
        if (command.timed_out) {
            draft.lines.push_back(fmt::format("timed out: {}", where(world(), command.timed_out)));
            draft.events.push_back({command.timed_out.sequence, "timed out"});
        }
        if (world().guest().goodbye()) {
            draft.lines.push_back(fmt::format("goodbye: {}", where(world(), world().guest().goodbye())));
            draft.events.push_back({world().guest().goodbye().sequence, "goodbye"});
        }
        return draft;
    }

    bool finishing_ = false;
    bool judging_ = false;
    std::uint64_t commands_ = 0;
};

}  // namespace

RuleInfo cmd_lost_rule() {
    return {.name = "cmd-lost",
            .summary = "Every command ends: completed, aborted, or failed by a reset",
            .severity = store::Severity::error,
            .evidence = "E M",
            .unit = "commands",
            .needs_markers = false,
            .create = make_rule<CmdLost>};
}

}  // namespace pv::checks
