// cmd-late: a command that was given up touches no memory that was taken back or used again.
// SPDX-License-Identifier: MIT
#include <fmt/format.h>

#include <optional>

#include "checks/model/world.hpp"
#include "checks/rules/access.hpp"
#include "checks/rules/rules.hpp"
#include "checks/text.hpp"

namespace pv::checks {
namespace {

class CmdLate final : public Rule {
  public:
    using Rule::Rule;

    void on_submit(const Command&) override {
        if (world().guest().promises(PV_FEATURE_DMA)) {
            ++commands_;
        }
    }

    void on_close(const Command& command) override {
        if (command.submitted && (command.timed_out || command.failed)) {
            ++given_up_;
        }
    }

    void on_transfer(const Transfer& transfer) override {
        if (!is_judged(world(), transfer)) {
            return;
        }
        if (was_given_up(world(), transfer)) {
            const Coverage coverage = coverage_of(world(), transfer);
            if (coverage.uncovered_length != 0 && coverage.ended != nullptr) {
                Draft draft = ended_draft(world(), transfer, coverage);
                add_command(draft, transfer);
                report(std::move(draft));
            }
            return;
        }
        used_again(transfer);
    }

    void on_unmap(const Mapping& mapping) override {
        if (!world().guest().promises(PV_FEATURE_DMA)) {
            return;
        }
        const std::optional<StillUsed> used = still_used(
            world(), mapping, [this](const Transfer& transfer) { return was_given_up(world(), transfer); });
        if (used) {
            Draft draft = still_used_draft(world(), mapping, *used);
            add_owner(world(), draft, mapping);
            add_command(draft, used->first);
            report(std::move(draft));
        }
    }

    [[nodiscard]] Observed observed() const override {
        if (commands_ == 0) {
            std::string why = missing(PV_FEATURE_DMA, "DMA mappings and commands");
            if (why.empty()) {
                why = missing(PV_FEATURE_COMMANDS, "commands");  // a profile's guest has mappings only
            }
            return {0, why.empty() ? "no command was sent to a device" : why};
        }
        return {commands_, given_up_ == 0
                               ? std::string("none was given up")
                               : fmt::format("{} given up by their driver", counted(given_up_, "commands"))};
    }

  private:
    /// Memory of a command that was given up goes to another one while the device may still use it.
    void used_again(const Transfer& transfer) {
        if (transfer.doubtful || transfer.bdf == no_device) {
            return;
        }
        std::optional<Transfer> earlier;
        world().ledger().in_flight(
            transfer.bdf, transfer.address, transfer.length, [&](const Transfer& other) {
                if (!other.doubtful && (other.device_writes || transfer.device_writes) &&
                    was_given_up(world(), other)) {
                    earlier = other;
                }
                return !earlier;
            });
        if (!earlier) {
            return;
        }
        Draft draft = access_draft(world(), transfer, transfer.address, transfer.length);
        draft.title += ", which a command that was given up may still use";
        add_command(draft, *earlier);
        draft.cause = fmt::format("again/{}", transfer.bdf);
        report(std::move(draft));
    }

    void add_command(Draft& draft, const Transfer& transfer) {
        const Command* command = world().ledger().find(transfer.command);
        const Place& given_up = command->timed_out ? command->timed_out : command->failed;
        draft.lines.push_back(fmt::format("given up: {}, {}", describe(*command), where(world(), given_up)));
        draft.events.push_back({given_up.sequence, "given up"});
    }

    std::uint64_t commands_ = 0;
    std::uint64_t given_up_ = 0;
};

}  // namespace

RuleInfo cmd_late_rule() {
    return {.name = "cmd-late",
            .summary = "A command that was given up touches no memory that was taken back or used again",
            .severity = store::Severity::error,
            .evidence = "E M",
            .unit = "commands",
            .needs_markers = true,
            .create = make_rule<CmdLate>};
}

}  // namespace pv::checks
