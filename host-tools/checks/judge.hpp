// Judges a trace: one pass over its events, every selected rule, results and verdict into its tables.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "checks/limits.hpp"

namespace pv::store {
class Trace;
struct Verdict;
}  // namespace pv::store

namespace pv::checks {

class SuppressionFile;

/// What the host knows of the run and the events do not say. `judge` takes each that is not given from the
/// trace's meta: outcome ("finished" or how it ended instead), lost, not_understood.
struct HostFacts {
    std::optional<bool> finished;  ///< the guest powered off by itself, and the recording saw it
    std::string
        ending;  ///< one line for the verdict when it did not: "wedged in drain", "timeout after 60 s"
    std::optional<std::uint64_t> lost;            ///< lines known to be missing
    std::optional<std::uint64_t> not_understood;  ///< lines that could not be read
};

struct Options {
    /// What --rules said, each a list divided by commas: see select.hpp. Empty: all.
    std::vector<std::string> rules;
    Limits limits;
    HostFacts facts;
    /// Findings that are known, and shall not count; nullptr: none. Outlives the judging.
    const SuppressionFile* known = nullptr;
};

/// Called now and then with the number of events seen and of all; returns false to stop the pass.
using Progress = std::function<bool(std::int64_t seen, std::int64_t all)>;

/// Judges `trace` (opened for judging) and replaces the results in it: rule_result, finding, finding_event,
/// command, timeline, verdict. Memory is bounded by what devices have in flight and by fixed histories
/// (docs/rules/index.md, "Bounds"), not by the trace's length.
/// Errors: an unknown rule (usage, with the nearest name as hint), a trace that cannot be read or written, a
/// pass that was stopped (interrupted). After an error the old results stand.
[[nodiscard]] Result<store::Verdict> judge(store::Trace& trace, const Options& options,
                                           const Progress& progress = {});

}  // namespace pv::checks
