// Passes events to the model, and what the model makes of them to the rules.
// SPDX-License-Identifier: MIT
#include "checks/analysis.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "checks/text.hpp"

namespace pv::checks {
namespace {

std::optional<std::uint32_t> known(Bdf bdf) {
    return bdf == no_device ? std::nullopt : std::optional<std::uint32_t>(bdf);
}

/// NVMe 2.0, figure 95: ended because an abort asked for it, or its queue was deleted.
bool was_aborted(const Command& command) {
    const std::uint64_t code = command.status & 0x7ff;
    return command.completed && command.status != 0 && command.aborted && (code == 0x07 || code == 0x08);
}

std::string_view outcome_of(const Command& command, bool finished) {
    if (was_aborted(command)) {
        return "aborted";
    }
    if (command.timed_out) {
        return "timed out";
    }
    if (command.completed) {
        return command.status == 0 ? "completed" : "failed";
    }
    if (command.reset) {
        return "reset";
    }
    if (command.failed) {
        return "failed";
    }
    return finished ? "lost" : "open";
}

}  // namespace

Analysis::Analysis(std::span<const RuleInfo* const> selected, const Limits& limits, Context context,
                   Sink sink)
    : context_(std::move(context)),
      limits_(limits),
      sink_(std::move(sink)),
      world_(context_, limits_, *this),
      findings_(world_, limits_) {
    for (const RuleInfo* info : selected) {
        running_.push_back({info, info->create({*info, world_, findings_, limits_})});
    }
}

void Analysis::see(const trace::Event& event) {
    if (!world_.admits(event)) {
        return;
    }
    world_.see(event);
    tell(&Rule::on_event, event);
}

Analysis::Outcome Analysis::finish(bool finished, const Known& known) {
    finished_ = finished;
    for (const Running& running : running_) {
        running.rule->finish(finished);
    }
    world_.finish();
    Outcome outcome;
    Taken taken = findings_.take(known);
    const std::string neglected = world_.neglected();
    for (const Running& running : running_) {
        Rule::Observed observed = running.rule->observed();
        if (!neglected.empty() && running.info->evidence.find('M') != std::string_view::npos) {
            observed = {0, "not judged in full: " + neglected};  // what was not seen did not hold
        }
        store::RuleResult result;
        result.rule = running.info->name;
        const std::uint64_t suppressed = findings_.suppressed(running.info->name);
        result.observed = std::max(observed.count, suppressed);  // what was found was seen
        result.unit = running.info->unit;
        result.findings = findings_.count(running.info->name) - suppressed;
        result.evidence = running.info->evidence;
        result.note = observed.note;
        if (suppressed != 0) {
            result.note += fmt::format("{}{} suppressed", result.note.empty() ? "" : "; ",
                                       counted(suppressed, "findings"));
        }
        result.outcome = result.findings != 0   ? store::Outcome::broken
                         : result.observed != 0 ? store::Outcome::held
                                                : store::Outcome::not_observed;
        if (observed.no_subject) {
            outcome.no_subject.push_back(result.rule);
        }
        outcome.rules.push_back(std::move(result));
    }
    outcome.findings = std::move(taken.counting);
    outcome.known = std::move(taken.known);
    outcome.known_by = std::move(taken.known_by);
    outcome.known_counts = std::move(taken.counts);
    return outcome;
}

void Analysis::transfer(const Transfer& transfer) {
    tell(&Rule::on_transfer, transfer);
}

void Analysis::mapped(const Mapping& mapping) {
    tell(&Rule::on_map, mapping);
}

void Analysis::unmapped(const Mapping& mapping) {
    tell(&Rule::on_unmap, mapping);
}

void Analysis::submitted(const Command& command) {
    tell(&Rule::on_submit, command);
}

void Analysis::taken(const Command& command) {
    tell(&Rule::on_take, command);
}

void Analysis::completed(const Command& command) {
    tell(&Rule::on_complete, command);
}

void Analysis::acknowledged(const Command& command) {
    tell(&Rule::on_acknowledge, command);
}

void Analysis::closed(const Command& command) {
    tell(&Rule::on_close, command);
    if (!sink_.command || (command.waits_for_event && !command.completed)) {
        return;
    }
    store::Command row;
    row.bdf = known(command.bdf);
    row.queue = command.queue;
    row.command = command.id;
    row.operation = operation_name(command.operation);
    row.bytes = command.bytes;
    row.lba = command.lba;
    row.submitted = command.begun().time;
    if (command.deadline != 0 && command.deadline <= longest_deadline) {
        row.deadline = command.submitted.time + static_cast<std::int64_t>(command.deadline / 1000);
    }
    if (command.timed_out) {
        row.timed_out = command.timed_out.time;
    }
    if (command.completed) {
        row.completed = command.completed.time;
        row.status = command.status;
    }
    row.outcome = outcome_of(command, finished_);
    sink_.command(row);
}

void Analysis::stray(const StrayCompletion& completion) {
    tell(&Rule::on_stray, completion);
}

void Analysis::doorbell(const Doorbell& doorbell) {
    tell(&Rule::on_doorbell, doorbell);
}

void Analysis::timeline(const Place& at, Bdf bdf, std::string_view what, std::string detail) {
    if (!sink_.timeline || timeline_entries_ >= max_timeline) {
        return;
    }
    ++timeline_entries_;
    sink_.timeline({at.sequence, at.time, known(bdf), std::string(what), std::move(detail)});
}

}  // namespace pv::checks
