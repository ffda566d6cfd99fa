// From what the rules found to the verdict.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>

#include "checks/judge.hpp"
#include "store/results.hpp"

namespace pv::checks {

/// `given` with what it leaves open taken from the trace's meta. A trace whose writer did not finish
/// (`whole` false) was not finished by the guest either.
[[nodiscard]] HostFacts complete_facts(HostFacts given, const std::map<std::string, std::string>& meta,
                                       bool whole);

/// fail: at least one finding. Else incomplete: a selected rule was not observed, lines were lost or not
/// understood, or the guest did not finish. Else pass. The reason names all that applies, on one line.
[[nodiscard]] store::Verdict decide(std::span<const store::RuleResult> results, const HostFacts& facts,
                                    std::uint64_t suppressed = 0);

}  // namespace pv::checks
