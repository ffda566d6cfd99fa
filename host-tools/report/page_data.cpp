// The data the page of an HTML report carries.
// SPDX-License-Identifier: MIT
#include "report/page_data.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <nlohmann/json.hpp>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "base/size.hpp"
#include "base/terminal.hpp"
#include "report/event_text.hpp"
#include "report/format.hpp"
#include "report/latency.hpp"
#include "report/summary.hpp"
#include "report/timeline_data.hpp"

namespace pv::report {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::int64_t findings_shown = 200;
constexpr std::size_t proofs_shown = 40;
constexpr std::size_t console_shown = 64 * 1024;

template <class T>
Json or_null(const std::optional<T>& value) {
    return value ? Json(*value) : Json(nullptr);
}

Json address(const std::optional<std::uint64_t>& value) {
    return value ? Json(hex_text(*value)) : Json(nullptr);
}

Result<Json> proof_json(store::Trace& trace, const Summary& summary, const store::FindingEvent& proof) {
    Json entry = {{"role", escape_for_terminal(proof.role, {.max_bytes = 40})}, {"seq", proof.sequence}};
    const std::optional<trace::Event> event = PV_TRY(trace.event(proof.sequence));
    entry["time"] = event ? Json(event->time) : Json(nullptr);
    entry["cpu"] = event && event->cpu >= 0 ? Json(event->cpu) : Json(nullptr);
    entry["what"] = event ? kind_text(event->kind) : "(not in the trace)";
    entry["details"] = event ? PV_TRY(arguments_text(trace, summary.devices, *event)) : "";
    return entry;
}

Result<Json> findings_json(store::Trace& trace, const Summary& summary,
                           const std::vector<store::Finding>& list, const TimelineData& timeline) {
    Json findings = Json::array();
    for (const store::Finding& finding : list) {
        Json events = Json::array();
        for (const store::FindingEvent& proof : finding.events) {
            if (events.size() == proofs_shown) {
                break;
            }
            events.push_back(PV_TRY(proof_json(trace, summary, proof)));
        }
        std::string symbol;
        if (finding.pc) {
            if (const std::optional<store::Symbol> found =
                    PV_TRY(trace.symbol(*finding.pc, finding.sequence))) {
                symbol = fmt::format("{}+{}", escape_for_terminal(found->name, {.max_bytes = 200}),
                                     hex_text(*finding.pc - found->address));
            }
        }
        findings.push_back(
            {{"id", finding.id},
             {"rule", escape_for_terminal(finding.rule)},
             {"severity", store::to_string(finding.severity)},
             {"title", title_text(finding)},
             {"detail", escape_for_terminal(finding.detail, {.max_bytes = 8192, .keep_newlines = true})},
             {"seq", finding.sequence},
             {"time", finding.time},
             {"lane", timeline.lane_of(finding)},
             {"cpu", or_null(finding.cpu)},
             {"pc", address(finding.pc)},
             {"symbol", std::move(symbol)},
             {"device", finding.bdf ? device_text(summary.devices, *finding.bdf) : ""},
             {"address", address(finding.address)},
             {"length", or_null(finding.length)},
             {"events", std::move(events)}});
    }
    return findings;
}

/// Entries of the file, and the findings they took out of the verdict; null without a file.
Result<Json> suppressions_json(store::Trace& trace, const Summary& summary, const TimelineData& timeline) {
    if (summary.suppressions.file.empty()) {
        return nullptr;
    }
    Json entries = Json::array();
    for (const store::Suppression& entry : summary.suppressions.entries) {
        entries.push_back({{"rule", escape_for_terminal(entry.rule)},
                           {"place", escape_for_terminal(entry.place)},
                           {"reason", escape_for_terminal(entry.reason, {.max_bytes = 1000})},
                           {"expires", escape_for_terminal(entry.expires)},
                           {"state", store::to_string(entry.state)},
                           {"findings", entry.findings}});
    }
    Json findings = PV_TRY(findings_json(trace, summary, summary.known, timeline));
    return Json{{"file", escape_for_terminal(summary.suppressions.file)},
                {"entries", std::move(entries)},
                {"findings", std::move(findings)}};
}

// docs/rules writes the sources as letters; a reader of the page has no legend at hand.
std::string evidence_words(const std::string& letters) {
    constexpr auto known =
        std::to_array<std::pair<std::string_view, std::string_view>>({{"E", "QEMU's trace"},
                                                                      {"M", "the guest's markers"},
                                                                      {"R", "decoded rings"},
                                                                      {"V", "the IOMMU's trace"}});
    std::string words;
    for (std::size_t at = 0; at < letters.size();) {
        const std::size_t end = std::min(letters.find(' ', at), letters.size());
        const std::string_view letter = std::string_view(letters).substr(at, end - at);
        const auto* const found =
            std::ranges::find(known, letter, &std::pair<std::string_view, std::string_view>::first);
        words += words.empty() ? "" : ", ";
        words += found == known.end() ? escape_for_terminal(letter) : std::string(found->second);
        at = end + 1;
    }
    return words;
}

Json rules_json(const Summary& summary) {
    Json rules = Json::array();
    for (const store::RuleResult& rule : summary.rules) {
        rules.push_back({{"rule", escape_for_terminal(rule.rule)},
                         {"outcome", store::to_string(rule.outcome)},
                         {"observed", rule.observed},
                         {"unit", escape_for_terminal(rule.unit)},
                         {"findings", rule.findings},
                         {"evidence", evidence_words(rule.evidence)},
                         {"note", escape_for_terminal(rule.note)}});
    }
    return rules;
}

Json latency_json(const Summary& summary, const Latencies& latencies, const TimelineData& timeline) {
    Json series = Json::array();
    for (const LatencySeries& one : latencies.series()) {
        Json histogram = Json::array();
        for (const DurationHistogram::Bucket& bucket : one.histogram.buckets()) {
            histogram.push_back(Json::array({bucket.low, bucket.high, bucket.count}));
        }
        series.push_back({{"device", one.bdf ? device_text(summary.devices, *one.bdf) : "unknown device"},
                          {"operation", escape_for_terminal(one.operation, {.max_bytes = 40})},
                          {"commands", one.commands},
                          {"ok", one.completed},
                          {"completed", one.histogram.count()},
                          {"min", one.histogram.min()},
                          {"p50", one.histogram.percentile(0.5)},
                          {"p90", one.histogram.percentile(0.9)},
                          {"p99", one.histogram.percentile(0.99)},
                          {"p999", one.histogram.percentile(0.999)},
                          {"max", one.histogram.max()},
                          {"histogram", std::move(histogram)}});
    }
    Json notes =
        Json::array({"Percentiles are exact below 32 µs and within 2 % above. A command that never "
                     "completed counts in none of them."});
    if (timeline.drawn() < timeline.commands()) {
        notes.push_back(
            fmt::format("Over time: {} of {} commands, those that ended badly and the slowest of each "
                        "stretch on each queue.",
                        count_text(timeline.drawn()), count_text(timeline.commands())));
    }
    return {{"series", std::move(series)},
            {"points", timeline.points()},
            {"end", timeline.end()},
            {"notes", std::move(notes)}};
}

std::string number_or_text(const std::string& text) {
    std::uint64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    return error == std::errc() && end == text.data() + text.size() ? count_text(value)
                                                                    : escape_for_terminal(text);
}

std::string size_or_text(const std::string& text) {
    std::uint64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    return error == std::errc() && end == text.data() + text.size() ? format_size(value)
                                                                    : escape_for_terminal(text);
}

Json facts_json(const Summary& summary) {
    constexpr auto known = std::to_array<std::pair<std::string_view, std::string_view>>({
        {"guest", "Guest"},
        {"kernel", "Kernel"},
        {"command_line", "Command line"},
        {"cpus", "vCPUs"},
        {"memory", "Memory"},
        {"qemu", "QEMU"},
        {"libvirt", "libvirt"},
        {"plugin", "Plugin"},
        {"started", "Started"},
        {"lost", "Lines lost"},
        {"not_understood", "Lines not understood"},
    });
    Json facts = Json::array();
    for (const auto& [key, label] : known) {
        const std::string value = summary.value(std::string(key));
        if (!value.empty()) {
            facts.push_back(
                Json::array({label, key == "memory" ? size_or_text(value) : number_or_text(value)}));
        }
    }
    for (const store::Device& device : summary.devices) {
        facts.push_back(
            Json::array({device_text(summary.devices, device.bdf),
                         fmt::format("{} at {}{}{}", escape_for_terminal(device.kind, {.max_bytes = 40}),
                                     bdf_text(device.bdf), device.detail.empty() ? "" : ", ",
                                     escape_for_terminal(device.detail, {.max_bytes = 300}))}));
    }
    return facts;
}

Json tally_json(const Summary& summary, const TimelineData& timeline) {
    const auto entry = [](std::string_view label, std::uint64_t value, std::string_view mood) {
        return Json::array({label, count_text(value), value == 0 ? "" : mood});
    };
    Json tally = Json::array();
    tally.push_back(
        entry(summary.findings_total == 1 ? "finding" : "findings", summary.findings_total, "bad"));
    if (!summary.suppressions.file.empty()) {
        tally.push_back(entry("suppressed", summary.suppressions.findings(), "warn"));
    }
    tally.push_back(entry("rules held", summary.rules_with(store::Outcome::held), "good"));
    tally.push_back(entry("broken", summary.rules_with(store::Outcome::broken), "bad"));
    tally.push_back(entry("not observed", summary.rules_with(store::Outcome::not_observed), "warn"));
    tally.push_back(entry("commands", timeline.commands(), ""));
    tally.push_back(entry("events", summary.events, ""));
    tally.push_back(Json::array({"of the guest’s life", duration_text(timeline.end()), ""}));
    return tally;
}

Json console_json(const Summary& summary) {
    const std::string console = summary.value("console");
    if (console.empty()) {
        return nullptr;
    }
    // The recording keeps the last of it only, as much as is shown.
    const bool cut = console.size() >= console_shown;
    std::string text;
    for (const char character : console.substr(console.size() - std::min(console.size(), console_shown))) {
        // Consoles end lines with CR LF; a lone CR stays and is shown as an escape.
        if (character == '\n' && !text.empty() && text.back() == '\r') {
            text.pop_back();
        }
        text += character;
    }
    return {{"text", escape_for_terminal(text, {.max_bytes = console_shown, .keep_newlines = true})},
            {"cut", cut}};
}

// Older traces say it in their outcome only.
Json guest_end_json(const Summary& summary) {
    const GuestEnd end = summary.guest_end();
    return {{"text", escape_for_terminal(end.text.empty() ? summary.value("outcome") : end.predicate())},
            {"ended", escape_for_terminal(end.ended)},
            {"status", or_null(end.status)},
            {"wedged", escape_for_terminal(end.wedged)}};
}

std::string title_of(const Summary& summary) {
    for (const char* key : {"guest", "kernel"}) {
        if (const std::string value = summary.value(key); !value.empty()) {
            return escape_for_terminal(value, {.max_bytes = 200});
        }
    }
    return "A guest";
}

Json notes_json(const Summary& summary) {
    Json notes = Json::array();
    if (!summary.whole) {
        notes.push_back("The recording did not end as it should: events may be missing at the end.");
    }
    return notes;
}

}  // namespace

Result<std::string> page_data(store::Trace& trace, const std::string& trace_path) {
    const Summary summary = PV_TRY(summarize(trace, findings_shown));
    Latencies latencies;
    TimelineData timeline(trace, summary);
    PV_TRY(for_each_command(
        trace, [&](const store::Command& command) { timeline.add(command, latencies.add(command)); }));
    PV_TRY(trace.for_each_event({}, [&](const trace::Event& event) { return timeline.add(event); }));

    Json lines = timeline.timeline();
    Json findings = PV_TRY(findings_json(trace, summary, summary.findings, timeline));
    Json suppressions = PV_TRY(suppressions_json(trace, summary, timeline));
    const std::int64_t exit_status = summary.verdict.exit_status;
    const Json data = {
        {"title", title_of(summary)},
        {"trace", escape_for_terminal(trace_path)},
        {"events", summary.events},
        {"verdict",
         {{"verdict", store::to_string(summary.verdict.verdict)},
          {"exit_status", exit_status},
          {"reason", escape_for_terminal(summary.verdict.reason)}}},
        {"guest_end", guest_end_json(summary)},
        {"tally", tally_json(summary, timeline)},
        {"facts", facts_json(summary)},
        {"reproduce", escape_for_terminal(summary.value("reproduce"), {.keep_newlines = true})},
        {"rules", rules_json(summary)},
        {"findings", std::move(findings)},
        {"suppressions", std::move(suppressions)},
        {"findings_total", summary.findings_total},
        {"timeline", std::move(lines)},
        {"latency", latency_json(summary, latencies, timeline)},
        {"console", console_json(summary)},
        {"notes", notes_json(summary)},
    };
    std::string text = data.dump(-1, ' ', true, Json::error_handler_t::replace);
    // Neither "</script" nor "<!--" may stand in a script element: no "<" does.
    std::string safe;
    safe.reserve(text.size());
    for (const char character : text) {
        if (character == '<') {
            safe += "\\u003c";
        } else {
            safe += character;
        }
    }
    return safe;
}

}  // namespace pv::report
