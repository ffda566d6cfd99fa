// The report for programs.
// SPDX-License-Identifier: MIT
#include "report/json.hpp"

#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "report/event_text.hpp"
#include "report/format.hpp"
#include "report/latency.hpp"
#include "report/summary.hpp"

namespace pv::report {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::int64_t findings_listed = 1000;

template <class T>
Json or_null(const std::optional<T>& value) {
    return value ? Json(*value) : Json(nullptr);
}

// 64-bit addresses as text: numbers above 2^53 do not survive most JSON readers.
Json address(const std::optional<std::uint64_t>& value) {
    return value ? Json(hex_text(*value)) : Json(nullptr);
}

Json device_of(const Summary& summary, const std::optional<std::uint32_t>& bdf) {
    if (!bdf) {
        return nullptr;
    }
    for (const store::Device& device : summary.devices) {
        if (device.bdf == *bdf) {
            return device.name;
        }
    }
    return bdf_text(*bdf);
}

Result<Json> finding_json(store::Trace& trace, const Summary& summary, const store::Finding& finding) {
    Json events = Json::array();
    for (const store::FindingEvent& proof : finding.events) {
        Json entry = {{"seq", proof.sequence}, {"role", proof.role}};
        const std::optional<trace::Event> event = PV_TRY(trace.event(proof.sequence));
        if (event) {
            entry["time_us"] = event->time;
            entry["cpu"] = event->cpu < 0 ? Json(nullptr) : Json(event->cpu);
            entry["pc"] = event->pc == 0 ? Json(nullptr) : Json(hex_text(event->pc));
            entry["kind"] = kind_text(event->kind);
            entry["arguments"] = Json::object();
            for (const auto& [name, value] : PV_TRY(arguments(trace, summary.devices, *event))) {
                entry["arguments"][name] = value;
            }
        }
        events.push_back(std::move(entry));
    }
    Json symbol = nullptr;
    if (finding.pc) {
        const std::optional<store::Symbol> found = PV_TRY(trace.symbol(*finding.pc, finding.sequence));
        symbol = found ? Json(found->name) : Json(nullptr);
    }
    return Json{{"id", finding.id},
                {"rule", finding.rule},
                {"severity", store::to_string(finding.severity)},
                {"title", finding.title},
                {"detail", finding.detail},
                {"seq", finding.sequence},
                {"time_us", finding.time},
                {"cpu", or_null(finding.cpu)},
                {"pc", address(finding.pc)},
                {"symbol", std::move(symbol)},
                {"device", device_of(summary, finding.bdf)},
                {"bdf", finding.bdf ? Json(bdf_text(*finding.bdf)) : Json(nullptr)},
                {"address", address(finding.address)},
                {"length", or_null(finding.length)},
                {"events", std::move(events)}};
}

Json suppressions_json(const Summary& summary) {
    if (summary.suppressions.file.empty()) {
        return nullptr;
    }
    Json entries = Json::array();
    for (const store::Suppression& entry : summary.suppressions.entries) {
        entries.push_back({{"rule", entry.rule},
                           {"place", entry.place},
                           {"reason", entry.reason},
                           {"expires", entry.expires.empty() ? Json(nullptr) : Json(entry.expires)},
                           {"state", store::to_string(entry.state)},
                           {"findings", entry.findings}});
    }
    return {{"file", summary.suppressions.file}, {"entries", std::move(entries)}};
}

Json rules_json(const Summary& summary) {
    Json rules = Json::array();
    for (const store::RuleResult& rule : summary.rules) {
        rules.push_back({{"rule", rule.rule},
                         {"outcome", store::to_string(rule.outcome)},
                         {"observed", rule.observed},
                         {"unit", rule.unit},
                         {"findings", rule.findings},
                         {"evidence", rule.evidence},
                         {"note", rule.note}});
    }
    return rules;
}

Json timeline_json(const Summary& summary) {
    Json entries = Json::array();
    for (const store::TimelineEntry& entry : summary.timeline) {
        entries.push_back({{"seq", entry.sequence},
                           {"time_us", entry.time},
                           {"device", device_of(summary, entry.bdf)},
                           {"what", entry.what},
                           {"detail", entry.detail}});
    }
    return entries;
}

Json commands_json(const Summary& summary, const Latencies& latencies) {
    Json entries = Json::array();
    for (const LatencySeries& series : latencies.series()) {
        Json latency = nullptr;
        if (series.histogram.count() > 0) {
            latency = {{"min_us", series.histogram.min()},
                       {"p50_us", series.histogram.percentile(0.5)},
                       {"p90_us", series.histogram.percentile(0.9)},
                       {"p99_us", series.histogram.percentile(0.99)},
                       {"p999_us", series.histogram.percentile(0.999)},
                       {"max_us", series.histogram.max()}};
        }
        entries.push_back({{"device", device_of(summary, series.bdf)},
                           {"operation", series.operation},
                           {"commands", series.commands},
                           {"completed", series.completed},
                           {"latency", std::move(latency)}});
    }
    return entries;
}

Json text_or_null(const std::string& text) {
    return text.empty() ? Json(nullptr) : Json(text);
}

Json guest_end_json(const Summary& summary) {
    const GuestEnd end = summary.guest_end();
    return {{"ended", text_or_null(end.ended)},
            {"status", or_null(end.status)},
            {"wedged", text_or_null(end.wedged)},
            {"text", end.text}};
}

}  // namespace

Result<std::string> json(store::Trace& trace, const std::string& trace_path) {
    const Summary summary = PV_TRY(summarize(trace, findings_listed));
    Latencies latencies;
    PV_TRY(for_each_command(trace, [&](const store::Command& command) { latencies.add(command); }));

    Json run = Json::object();
    for (const auto& [key, value] : summary.meta) {
        if (key != "console" && key != "reproduce" && key != store::suppressions_key) {
            run[key] = value;
        }
    }
    Json devices = Json::array();
    for (const store::Device& device : summary.devices) {
        devices.push_back({{"bdf", bdf_text(device.bdf)},
                           {"name", device.name},
                           {"kind", device.kind},
                           {"detail", device.detail}});
    }
    Json findings = Json::array();
    for (const store::Finding& finding : summary.findings) {
        findings.push_back(PV_TRY(finding_json(trace, summary, finding)));
    }
    Json known = Json::array();
    for (std::size_t i = 0; i < summary.known.size(); ++i) {
        Json finding = PV_TRY(finding_json(trace, summary, summary.known[i]));
        finding["suppressed_by"] = summary.suppressions.of_findings[i];
        known.push_back(std::move(finding));
    }
    const Json result = {
        {"format", "paravane-result"},
        {"format_version", {{"major", json_major}, {"minor", json_minor}}},
        {"verdict", store::to_string(summary.verdict.verdict)},
        {"exit_status", summary.verdict.exit_status},
        {"reason", summary.verdict.reason},
        {"trace", trace_path},
        {"complete", summary.whole},
        {"guest_end", guest_end_json(summary)},
        {"counts",
         {{"events", summary.events},
          {"rules", summary.rules.size()},
          {"held", summary.rules_with(store::Outcome::held)},
          {"broken", summary.rules_with(store::Outcome::broken)},
          {"not_observed", summary.rules_with(store::Outcome::not_observed)},
          {"findings", summary.findings_total},
          {"findings_listed", summary.findings.size()},
          {"suppressed", summary.suppressions.findings()}}},
        {"rules", rules_json(summary)},
        {"findings", std::move(findings)},
        {"suppressions", suppressions_json(summary)},
        {"suppressed", std::move(known)},
        {"timeline", timeline_json(summary)},
        {"commands", commands_json(summary, latencies)},
        {"devices", std::move(devices)},
        {"run", std::move(run)},
        {"reproduce", summary.value("reproduce")},
    };
    return result.dump(2, ' ', true, Json::error_handler_t::replace) + "\n";
}

}  // namespace pv::report
