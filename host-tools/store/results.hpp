// What the analysis of a trace found, as the tables of abi/trace/schema.sql hold it.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"

namespace pv::store {

enum class Outcome : std::uint8_t { held, broken, not_observed };
enum class Severity : std::uint8_t { error, warning, advice };
enum class VerdictKind : std::uint8_t { pass, fail, incomplete };

/// Words as stored: "held", "broken", "not observed"; "error", ...; "pass", ...
[[nodiscard]] std::string_view to_string(Outcome outcome);
[[nodiscard]] std::string_view to_string(Severity severity);
[[nodiscard]] std::string_view to_string(VerdictKind verdict);
/// The reverse; nothing for a word that is none of them (a file from elsewhere).
[[nodiscard]] std::optional<Outcome> parse_outcome(std::string_view word);
[[nodiscard]] std::optional<Severity> parse_severity(std::string_view word);
[[nodiscard]] std::optional<VerdictKind> parse_verdict(std::string_view word);

/// One rule that was selected.
struct RuleResult {
    std::string rule = {};  ///< kebab case
    Outcome outcome = Outcome::not_observed;
    std::uint64_t observed = 0;  ///< how often the rule had something to judge
    std::string unit = {};       ///< of `observed`, plural: "transfers"
    std::uint64_t findings = 0;  ///< all of them, also those folded away
    std::string evidence = {};   ///< letters of docs/rules: "E M"
    std::string note = {};       ///< what was missing, or what limits the evidence
};

/// An event that proves a finding, and its part in it: "access", "mapped", "unmapped", "submitted", "before",
/// ...
struct FindingEvent {
    std::int64_t sequence = 0;
    std::string role = {};
};

/// One violation. sequence, time, cpu and pc are those of the event that breaks the rule.
struct Finding {
    std::int64_t id = 0;  ///< given by the store, from 1
    std::string rule = {};
    Severity severity = Severity::error;
    std::int64_t sequence = 0;
    std::int64_t time = 0;  ///< microseconds since the first event
    std::optional<std::int32_t> cpu = {};
    std::optional<std::uint64_t> pc = {};
    std::optional<std::uint32_t> bdf = {};
    std::optional<std::uint64_t> address = {};
    std::optional<std::uint64_t> length = {};  ///< bytes
    std::string title = {};                    ///< one line
    std::string detail = {};                   ///< several lines
    std::vector<FindingEvent> events = {};     ///< in order
};

/// One command to a device. Times in microseconds since the first event.
struct Command {
    std::int64_t id = 0;  ///< given by the store, from 1
    std::optional<std::uint32_t> bdf = {};
    std::uint32_t queue = 0;
    std::uint32_t command = 0;   ///< the id the device sees
    std::string operation = {};  ///< "read", "write", "flush", "admin", ...
    std::optional<std::uint64_t> bytes = {};
    std::optional<std::uint64_t> lba = {};
    std::int64_t submitted = 0;
    std::optional<std::int64_t> deadline = {};   ///< the moment it passes
    std::optional<std::int64_t> timed_out = {};  ///< when the driver noticed
    std::optional<std::int64_t> completed = {};
    std::optional<std::uint64_t> status = {};
    std::string outcome = {};  ///< "completed", "failed", "timed out", "aborted", "reset", "lost"
};

/// A change worth a mark on the time line: "timeout", "abort", "reset", "fault begin", "fault end", ...
struct TimelineEntry {
    std::int64_t sequence = 0;
    std::int64_t time = 0;  ///< microseconds since the first event
    std::optional<std::uint32_t> bdf = {};
    std::string what = {};    ///< one or two words from a closed list (docs/trace.md)
    std::string detail = {};  ///< one line
};

struct Verdict {
    VerdictKind verdict = VerdictKind::incomplete;
    int exit_status = static_cast<int>(ExitStatus::incomplete);
    std::string reason = {};
};

/// A device as the domain was built or as the guest named it.
struct Device {
    std::uint32_t bdf = 0;  ///< segment << 16 | bus << 8 | device << 3 | function
    std::string name = {};  ///< "disk0", "net0", ...
    std::string kind = {};  ///< "nvme", "virtio-blk", ...
    std::string detail = {};
};

/// A symbol of the guest's kernel.
struct Symbol {
    std::uint64_t address = 0;
    std::uint64_t size = 0;  ///< bytes; 0 where not known
    std::string name = {};
};

}  // namespace pv::store
