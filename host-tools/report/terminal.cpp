// The report for a person at a terminal.
// SPDX-License-Identifier: MIT
#include "report/terminal.hpp"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <iterator>
#include <string_view>
#include <vector>

#include "base/terminal.hpp"
#include "report/event_text.hpp"
#include "report/format.hpp"
#include "report/summary.hpp"
#include "report/terminal_timeline.hpp"
#include "report/text.hpp"

namespace pv::report {
namespace {

constexpr std::size_t evidence_shown = 16;  // events of one finding
constexpr std::size_t known_shown = 20;     // titles of suppressed findings

class Printer {
  public:
    Printer(store::Trace& trace, const TerminalOptions& options, Summary summary)
        : trace_(trace), options_(options), summary_(std::move(summary)) {
        options_.width = std::clamp<std::size_t>(options.width, 40, 200);
    }

    Result<std::string> print() {
        if (!options_.verdict_only) {
            for (const store::Finding& finding : summary_.findings) {
                PV_TRY(print_finding(finding));
            }
            if (summary_.findings_total > summary_.findings.size()) {
                text(fmt::format(
                    "{} of {} are shown.{}\n", plural_text(summary_.findings.size(), "finding"),
                    count_text(summary_.findings_total),
                    options_.trace_path.empty()
                        ? ""
                        : fmt::format(" All: paravane query {} 'select * from finding'", trace_name())));
                result_ += '\n';
            }
            print_timeline();
            print_rules();
            print_suppressions();
        }
        print_verdict();
        return std::move(result_);
    }

  private:
    // SGR parameters; the words carry the meaning, colour only repeats it.
    static constexpr std::string_view red = "1;31";
    static constexpr std::string_view yellow = "33";
    static constexpr std::string_view green = "32";
    static constexpr std::string_view bold = "1";
    static constexpr std::string_view dim = "2";

    [[nodiscard]] std::string paint(std::string_view sgr, std::string_view text) const {
        return options_.color && !text.empty() ? fmt::format("\x1b[{}m{}\x1b[0m", sgr, text)
                                               : std::string(text);
    }

    void text(std::string_view content, std::string_view indent = "") {
        result_ += wrap(content, options_.width, indent);
    }

    [[nodiscard]] std::string trace_name() const { return escape_for_terminal(options_.trace_path); }

    void print_timeline() {
        const std::vector<std::string> lines = timeline_lines(summary_, options_.width);
        if (lines.empty()) {
            return;
        }
        result_ += paint(bold, "time line") + "\n";
        for (const std::string& line : lines) {
            result_ += line + "\n";
        }
        result_ += '\n';
    }

    Result<> print_finding(const store::Finding& finding) {
        const std::string_view color = finding.severity == store::Severity::error ? red : yellow;
        std::string title =
            wrap(fmt::format("{}: {}", store::to_string(finding.severity), title_text(finding)),
                 options_.width, "");
        title.pop_back();
        result_ += paint(color, title) + "\n";

        std::string place = fmt::format("at {}, event {}", moment_text(finding.time),
                                        count_text(static_cast<std::uint64_t>(finding.sequence)));
        if (finding.cpu) {
            place += fmt::format(", vCPU {}", *finding.cpu);
        }
        if (finding.pc) {
            const std::optional<store::Symbol> symbol = PV_TRY(trace_.symbol(*finding.pc, finding.sequence));
            place += fmt::format(", pc {}", hex_text(*finding.pc));
            if (symbol) {
                place += fmt::format(" {}+{}", escape_for_terminal(symbol->name, {.max_bytes = 200}),
                                     hex_text(*finding.pc - symbol->address));
            }
        }
        text(place, "    ");
        text(escape_for_terminal(finding.detail, {.max_bytes = 8192, .keep_newlines = true}), "    ");
        PV_TRY(print_evidence(finding));
        const std::string reproduce = summary_.value("reproduce");
        if (!reproduce.empty()) {
            text("reproduce: " + escape_for_terminal(reproduce, {.keep_newlines = true}), "    ");
        }
        result_ += '\n';
        return {};
    }

    Result<> print_evidence(const store::Finding& finding) {
        std::size_t shown = 0;
        for (const store::FindingEvent& proof : finding.events) {
            if (shown++ == evidence_shown) {
                text(fmt::format("... and {}",
                                 plural_text(finding.events.size() - evidence_shown, "more event")),
                     "      ");
                break;
            }
            const std::optional<trace::Event> event = PV_TRY(trace_.event(proof.sequence));
            std::string what = "(not in the trace)";
            std::string when;
            if (event) {
                what = fmt::format("{} {}", kind_text(event->kind),
                                   PV_TRY(arguments_text(trace_, summary_.devices, *event)));
                when = proof.sequence == finding.sequence ? "here" : relative(event->time - finding.time);
            }
            const std::string lead = fmt::format(
                "{} {} ", pad(escape_for_terminal(proof.role, {.max_bytes = 40}), 10), pad(when, 9));
            std::string lines = wrap(what, options_.width, std::string(6 + columns(lead), ' '));
            lines.replace(0, 6 + columns(lead), "      " + paint(dim, lead));
            result_ += lines;
        }
        return {};
    }

    static std::string relative(std::int64_t microseconds) {
        return (microseconds > 0 ? "+" : "") + duration_text(microseconds);
    }

    void print_rules() {
        if (summary_.rules.empty()) {
            return;
        }
        std::vector<const store::RuleResult*> rules;
        for (const store::RuleResult& rule : summary_.rules) {
            rules.push_back(&rule);
        }
        const auto rank = [](const store::RuleResult* rule) {
            return rule->outcome == store::Outcome::broken         ? 0
                   : rule->outcome == store::Outcome::not_observed ? 1
                                                                   : 2;
        };
        std::ranges::stable_sort(rules, {}, rank);
        std::size_t name_width = 4;
        for (const store::RuleResult* rule : rules) {
            name_width = std::max(name_width, columns(escape_for_terminal(rule->rule, {.max_bytes = 60})));
        }
        result_ += paint(bold, "rules") + "\n";
        for (const store::RuleResult* rule : rules) {
            print_rule(*rule, name_width);
        }
        result_ += '\n';
    }

    void print_rule(const store::RuleResult& rule, std::size_t name_width) {
        const std::string outcome(store::to_string(rule.outcome));
        std::string lead =
            fmt::format("  {}  ", pad(escape_for_terminal(rule.rule, {.max_bytes = 60}), name_width));
        std::string judged;
        if (rule.outcome != store::Outcome::not_observed) {
            judged = fmt::format("{} {}", count_text(rule.observed),
                                 escape_for_terminal(rule.unit, {.max_bytes = 60}));
        }
        if (rule.findings > 0) {
            judged += fmt::format("{}{}", judged.empty() ? "" : ", ", plural_text(rule.findings, "finding"));
        }
        // A note on a held rule limits its evidence; the report's file and --json carry it.
        if (rule.outcome != store::Outcome::held && !rule.note.empty()) {
            judged += (judged.empty() ? "" : "; ") + escape_for_terminal(rule.note, {.max_bytes = 400});
        }
        const std::string_view color = rule.outcome == store::Outcome::broken ? red
                                       : rule.outcome == store::Outcome::held ? green
                                                                              : yellow;
        const std::size_t indent = columns(lead) + 14;
        std::string lines = wrap(judged.empty() ? "-" : judged, options_.width, std::string(indent, ' '));
        lines.replace(0, indent, lead + paint(color, pad(outcome, 12)) + "  ");
        result_ += lines;
    }

    /// Each entry with what it took out of the verdict; those that did nothing as well.
    void print_suppressions() {
        const store::Suppressions& suppressions = summary_.suppressions;
        if (suppressions.entries.empty()) {
            return;
        }
        result_ += paint(bold, "suppressed") + "\n";
        std::size_t next = 0;
        for (std::size_t i = 0; i < suppressions.entries.size(); ++i) {
            const store::Suppression& entry = suppressions.entries[i];
            const std::string state =
                entry.state == store::Suppression::State::used     ? plural_text(entry.findings, "finding")
                : entry.state == store::Suppression::State::unused ? "unused: fitted no finding"
                                                                   : "expired on " + entry.expires;
            const std::string until =
                entry.expires.empty() || entry.state == store::Suppression::State::expired
                    ? ""
                    : fmt::format(" (until {})", entry.expires);
            text(fmt::format("{} at {}: {}{}; {}", escape_for_terminal(entry.rule),
                             escape_for_terminal(entry.place), state, until,
                             escape_for_terminal(entry.reason, {.max_bytes = 400})),
                 "  ");
            for (std::size_t k = 0; k < summary_.known.size(); ++k) {
                if (summary_.suppressions.of_findings[k] == i && next++ < known_shown) {
                    text(title_text(summary_.known[k]), "    ");
                }
            }
        }
        result_ += '\n';
    }

    void print_verdict() {
        const store::Verdict& verdict = summary_.verdict;
        const std::string_view color = verdict.verdict == store::VerdictKind::pass   ? "1;32"
                                       : verdict.verdict == store::VerdictKind::fail ? red
                                                                                     : "1;33";
        const std::string counts = fmt::format(
            "{} held, {} broken, {} not observed; {}", summary_.rules_with(store::Outcome::held),
            summary_.rules_with(store::Outcome::broken), summary_.rules_with(store::Outcome::not_observed),
            plural_text(summary_.events, "event"));
        const std::string word(store::to_string(verdict.verdict));
        std::string lines = wrap(fmt::format("verdict: {} ({})", word, counts), options_.width, "");
        lines.replace(0, 9 + word.size(), "verdict: " + paint(color, word));
        result_ += lines;
        // A pass needs no reason: nothing was broken, and all was seen.
        if (!verdict.reason.empty() && verdict.verdict != store::VerdictKind::pass) {
            text("because " + escape_for_terminal(verdict.reason), "  ");
        }
        if (const std::string end = summary_.guest_end().predicate(); !end.empty()) {
            text("the guest " + escape_for_terminal(end, {.max_bytes = 200}), "  ");
        }
    }

    store::Trace& trace_;
    TerminalOptions options_;
    Summary summary_;
    std::string result_;
};

}  // namespace

Result<std::string> terminal(store::Trace& trace, const TerminalOptions& options) {
    Summary summary = PV_TRY(summarize(trace, static_cast<std::int64_t>(options.findings)));
    return Printer(trace, options, std::move(summary)).print();
}

bool wants_color(int descriptor) {
    const char* refused = std::getenv("NO_COLOR");
    return is_terminal(descriptor) && (refused == nullptr || *refused == '\0');
}

std::size_t terminal_width(int descriptor) {
    winsize size{};
    return ::ioctl(descriptor, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 100;
}

}  // namespace pv::report
