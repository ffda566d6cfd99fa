// What a fault plan expects, compared with what a run was.
// SPDX-License-Identifier: MIT
#pragma once

#include <string>
#include <vector>

#include "base/error.hpp"
#include "cli/guest_run.hpp"
#include "faults/plan_file.hpp"
#include "store/results.hpp"

namespace pv::store {
class Trace;
}

namespace pv::cli {

/// One thing a plan asks for.
struct Expected {
    std::string what;  ///< in words: "verdict pass"
    bool held = false;
    std::string found;  ///< what was there instead; empty when it held
};

/// Compares a judged run with the plan, one entry a thing that it asks for, and one for its steps. Text of
/// the guest is in it: escape it when shown. Errors: usage (a statement that is not understood).
Result<std::vector<Expected>> compare(const faults::Expectation& expectation, const RunReport& run,
                                      const store::Verdict& verdict, store::Trace& trace);

}  // namespace pv::cli
