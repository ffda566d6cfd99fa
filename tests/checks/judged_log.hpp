// Takes a log as QEMU writes it through capture, store and checks: what the golden tests and benchmarks
// share.
// SPDX-License-Identifier: MIT
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "capture/statistics.hpp"
#include "checks/judge.hpp"
#include "store/results.hpp"

namespace pv::checks::test {

struct JudgedLog {
    capture::Statistics statistics;
    std::vector<store::RuleResult> rules;
    std::vector<store::Finding> findings;
    std::vector<store::Command> commands;
    std::vector<store::TimelineEntry> timeline;
    store::Verdict verdict;
    /// sequence number - 1 -> line of the log, from 1: where an event came from.
    std::vector<std::size_t> lines;
};

struct RunFacts {
    std::vector<store::Device> devices;
    std::vector<store::Symbol> symbols;
    std::string outcome = "finished";  ///< meta "outcome"
};

/// Judges the log at `path` (plain, or compressed with gzip) in a database in `folder`.
[[nodiscard]] Result<JudgedLog> judge_log(const std::filesystem::path& path,
                                          const std::filesystem::path& folder, const RunFacts& facts,
                                          const Options& options);

}  // namespace pv::checks::test
