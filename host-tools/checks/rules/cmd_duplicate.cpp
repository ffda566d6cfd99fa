// cmd-duplicate: no id is used twice at a time, and no completion comes for an id that is not outstanding.
// SPDX-License-Identifier: MIT
#include <fmt/format.h>

#include <set>
#include <tuple>

#include "checks/findings.hpp"
#include "checks/model/world.hpp"
#include "checks/rules/rules.hpp"
#include "checks/text.hpp"

namespace pv::checks {
namespace {

class CmdDuplicate final : public Rule {
  public:
    using Rule::Rule;

    void on_submit(const Command& command) override { judge_use(command, command.submitted); }

    void on_take(const Command& command) override {
        // Announced ones were judged when they were announced. A virtqueue's ids are only known from markers.
        if (!command.submitted && !command.ambiguous && is_nvme(command.bdf) && world().nvme().single()) {
            judge_use(command, command.taken);
        }
    }

    void on_complete(const Command& command) override {
        if (!command.waits_for_event) {
            ++completions_;
        }
    }

    void on_acknowledge(const Command& command) override {
        if (command.completed || command.reset || command.ambiguous || !command.taken ||
            !is_nvme(command.bdf) || !world().nvme().single()) {
            return;
        }
        Draft draft = drafted(command.acknowledged, command.bdf, command.queue, command.id);
        draft.title = fmt::format("{}: the driver took {} for complete, the device has not completed it",
                                  world().devices().name(command.bdf), describe(command));
        draft.events.push_back({command.begun().sequence, "submitted"});
        add(std::move(draft), command.bdf, command.queue, command.id);
    }

    void on_stray(const StrayCompletion& stray) override {
        Draft draft = drafted(stray.at, stray.bdf, stray.queue, stray.id);
        draft.title = fmt::format("{}: completion on queue {} for id {:#x}, which is not outstanding",
                                  world().devices().name(stray.bdf), stray.queue, stray.id);
        add(std::move(draft), stray.bdf, stray.queue, stray.id);
    }

    void on_event(const trace::Event& event) override {
        if (event.kind != trace::Kind::marker_command_refused) {
            return;
        }
        const auto bdf = static_cast<Bdf>(event.args[0]);
        const auto queue = static_cast<std::uint32_t>(event.args[1]);
        const auto id = static_cast<std::uint16_t>(event.args[2] & 0xffff);
        // A late completion of a command that the driver gave up on is the device's right.
        for (const Command* command : world().ledger().with_id(bdf, queue, id)) {
            if (command->timed_out || command->failed) {
                return;
            }
        }
        if (given_up_.contains({bdf, queue, id})) {
            given_up_.erase({bdf, queue, id});
            return;
        }
        Draft draft = drafted(place_of(event), bdf, queue, id);
        draft.title = fmt::format(
            "{}: the driver refused a completion on queue {} for id {:#x}, which it had not outstanding",
            world().devices().name(bdf), queue, id);
        add(std::move(draft), bdf, queue, id);
    }

    void on_close(const Command& command) override {
        if ((command.timed_out || command.failed) && given_up_.size() < 65'536) {
            given_up_.insert({command.bdf, command.queue, command.id});
        }
    }

    [[nodiscard]] Observed observed() const override {
        if (completions_ == 0) {
            return {0, "no device completed a command"};
        }
        std::string note;
        if (!world().guest().promises(PV_FEATURE_COMMANDS)) {
            note = "NVMe ids only: those of virtqueues are not seen without markers";
        }
        return {completions_, note};
    }

  private:
    using Id = std::tuple<Bdf, std::uint32_t, std::uint16_t>;

    bool is_nvme(Bdf bdf) const { return world().nvme().find(bdf) != nullptr; }

    void judge_use(const Command& command, const Place& at) {
        for (const Command* earlier : world().ledger().with_id(command.bdf, command.queue, command.id)) {
            if (earlier->serial == command.serial || !earlier->outstanding() || earlier->ambiguous) {
                continue;
            }
            // What a device throws away unread, as QEMU's network cards do without a link, it was never seen
            // to take: that the driver saw it done is all there is.
            if (earlier->acknowledged && !earlier->taken) {
                continue;
            }
            Draft draft = drafted(at, command.bdf, command.queue, command.id);
            draft.title = fmt::format("{}: {} uses an id that a {} still has, submitted {} before",
                                      world().devices().name(command.bdf), describe(command),
                                      describe(*earlier), duration(at.time - earlier->begun().time));
            draft.lines.push_back(fmt::format("outstanding: {}", where(world(), earlier->begun())));
            draft.events.push_back({earlier->begun().sequence, "outstanding"});
            add(std::move(draft), command.bdf, command.queue, command.id);
            return;
        }
        reported_.erase({command.bdf, command.queue, command.id});  // a clean use: trouble after it is new
    }

    Draft drafted(const Place& at, Bdf bdf, std::uint32_t queue, std::uint16_t id) {
        Draft draft;
        draft.at = at;
        draft.bdf = bdf;
        draft.lines.push_back(
            fmt::format("device: {}, queue {}, id {:#x}", world().devices().long_name(bdf), queue, id));
        draft.lines.push_back(fmt::format("here: {}", where(world(), at)));
        draft.events.push_back({at.sequence, "here"});
        return draft;
    }

    /// Once for an id in trouble: the second use, the completions that follow and the driver's refusal are
    /// one.
    void add(Draft draft, Bdf bdf, std::uint32_t queue, std::uint16_t id) {
        if (reported_.size() < 65'536 && !reported_.insert({bdf, queue, id}).second) {
            return;
        }
        draft.cause = fmt::format("{}/{}/{:x}", bdf, queue, draft.at.pc);
        report(std::move(draft));
    }

    std::set<Id> reported_;
    std::set<Id> given_up_;
    std::uint64_t completions_ = 0;
};

}  // namespace

RuleInfo cmd_duplicate_rule() {
    return {.name = "cmd-duplicate",
            .summary = "No id is used twice at a time, and no completion comes for one not outstanding",
            .severity = store::Severity::error,
            .evidence = "E M",
            .unit = "completions",
            .needs_markers = false,
            .create = make_rule<CmdDuplicate>};
}

}  // namespace pv::checks
