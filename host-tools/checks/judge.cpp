// Judges a trace in the database and writes what was found back into it.
// SPDX-License-Identifier: MIT
#include "checks/judge.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "checks/analysis.hpp"
#include "checks/select.hpp"
#include "checks/suppress.hpp"
#include "checks/verdict.hpp"
#include "store/trace.hpp"

namespace pv::checks {
namespace {

Context context_of(store::Trace& trace, std::vector<store::Device> devices) {
    Context context;
    // A text or symbol that cannot be read makes a finding poorer, not wrong.
    context.text = [&trace](std::uint64_t id) { return trace.text(id).value_or(std::string()); };
    context.symbol = [&trace](std::uint64_t address, std::int64_t sequence) -> std::string {
        const auto symbol = trace.symbol(address, sequence);
        if (!symbol.has_value() || !symbol->has_value()) {
            return {};
        }
        return fmt::format("{}+{:#x}", (*symbol)->name, address - (*symbol)->address);
    };
    context.devices = std::move(devices);
    return context;
}

/// Where a finding is, in the words that a suppression may use: its function, with and without the distance
/// from its beginning; its address; its device.
std::vector<std::string> places_of(const store::Finding& finding, const Context& context,
                                   const Devices& devices) {
    std::vector<std::string> places;
    if (finding.pc) {
        places.push_back(fmt::format("{:#x}", *finding.pc));
        if (const std::string symbol = context.symbol(*finding.pc, finding.sequence); !symbol.empty()) {
            places.push_back(symbol);
            places.push_back(symbol.substr(0, symbol.rfind('+')));
        }
    }
    if (finding.bdf) {
        places.push_back(devices.name(*finding.bdf));
    }
    if (places.empty()) {
        places.emplace_back();  // of the guest as a whole: "*" fits it
    }
    return places;
}

}  // namespace

Result<store::Verdict> judge(store::Trace& trace, const Options& options, const Progress& progress) {
    constexpr std::int64_t progress_every = 16'384;
    const std::vector<const RuleInfo*> selected = PV_TRY(select_rules(options.rules));
    std::map<std::string, std::string> meta = PV_TRY(trace.meta());
    const HostFacts facts = complete_facts(options.facts, meta, trace.is_whole());
    store::ResultsWriter writer = PV_TRY(trace.replace_results());
    Result<> written;
    const auto keep_error = [&](auto result) {
        if (!result.has_value() && written.has_value()) {
            written = std::unexpected(std::move(result).error());
        }
    };
    Sink sink;
    sink.command = [&](const store::Command& command) { keep_error(writer.add(command)); };
    sink.timeline = [&](const store::TimelineEntry& entry) { keep_error(writer.add(entry)); };

    Analysis analysis(selected, options.limits, context_of(trace, PV_TRY(trace.devices())), std::move(sink));
    const std::int64_t all = trace.event_count();
    const auto see = [&](const trace::Event& event) -> Result<> {
        analysis.see(event);
        if (event.sequence % progress_every == 0 && progress && !progress(event.sequence, all)) {
            return fail(ExitStatus::interrupted, "interrupted while judging the trace",
                        "the trace is whole; `paravane analyze` judges it again");
        }
        return written;
    };
    PV_TRY(trace.for_each_event({}, see));
    store::Suppressions suppressions =
        options.known == nullptr ? store::Suppressions{} : options.known->entries();
    Known known;
    if (options.known != nullptr) {
        known = [&](const store::Finding& finding) {
            return options.known->find(
                finding.rule, places_of(finding, analysis.world().context(), analysis.world().devices()));
        };
    }
    Analysis::Outcome outcome = analysis.finish(facts.finished.value_or(false), known);
    std::erase_if(outcome.rules, [&](const store::RuleResult& result) {
        const RuleInfo* rule = find_rule(result.rule);
        return rule != nullptr &&
               std::ranges::find(outcome.no_subject, result.rule) != outcome.no_subject.end() &&
               !is_named(*rule, options.rules);
    });
    for (const store::RuleResult& result : outcome.rules) {
        keep_error(writer.add(result));
    }
    for (const store::Finding& finding : outcome.findings) {
        keep_error(writer.add(finding));
    }
    // Those that do not count are the last ones: reports tell them apart by that.
    for (const store::Finding& finding : outcome.known) {
        keep_error(writer.add(finding));
    }
    for (const auto& [entry, count] : outcome.known_counts) {
        suppressions.entries[entry].findings = count;
        suppressions.entries[entry].state = store::Suppression::State::used;
    }
    suppressions.of_findings = std::move(outcome.known_by);
    if (options.known != nullptr || meta.contains(std::string(store::suppressions_key))) {
        keep_error(writer.set_meta(store::suppressions_key,
                                   options.known == nullptr ? std::string() : store::to_text(suppressions)));
    }
    const store::Verdict verdict = decide(outcome.rules, facts, suppressions.findings());
    keep_error(writer.set(verdict));
    if (!written.has_value()) {
        return std::unexpected(std::move(written).error());
    }
    PV_TRY(writer.commit());
    return verdict;
}

}  // namespace pv::checks
