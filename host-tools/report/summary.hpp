// What every report begins with: verdict, rules, findings and the run's facts, read once from the trace.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "store/suppressions.hpp"
#include "store/trace.hpp"

namespace pv::report {

/// How the guest came to its end, as the recording says; every part may be missing in older traces.
struct GuestEnd {
    std::string ended;                   ///< "powered off", "ran out of time", ...: docs/json.md lists them
    std::optional<std::int64_t> status;  ///< what a guest that powered off said of itself; 0: all went well
    std::string wedged;                  ///< what it took to end a guest whose QEMU did not answer
    std::string text;                    ///< all of it in one line

    /// What completes "the guest ...": "powered off, status 0", "was interrupted". Empty when nothing is
    /// known.
    [[nodiscard]] std::string predicate() const;
};

/// As stored: text is the guest's and not escaped. Bounded by what summarize was asked for.
struct Summary {
    std::map<std::string, std::string> meta;
    std::vector<store::Device> devices;
    store::Verdict verdict;
    std::vector<store::RuleResult> rules;
    std::vector<store::Finding> findings;  ///< the first ones, in id order
    std::uint64_t findings_total = 0;      ///< as the store counts them, folded repetitions not included
    store::Suppressions suppressions;      ///< those that were given when it was judged
    std::vector<store::Finding> known;     ///< that they took out of the verdict: the first ones
    std::vector<store::TimelineEntry> timeline;
    std::uint64_t events = 0;
    bool whole = false;  ///< the recording ended as it should

    /// The value of `key`, or nothing when it is absent or empty.
    [[nodiscard]] std::string value(const std::string& key) const;
    [[nodiscard]] std::size_t rules_with(store::Outcome outcome) const;
    [[nodiscard]] GuestEnd guest_end() const;
};

/// At most `findings` findings, as many known ones, and 10,000 entries of the time line. Error: the trace was
/// never judged (hint: `paravane analyze`), or cannot be read. `path` is for the hint.
Result<Summary> summarize(store::Trace& trace, std::int64_t findings);

/// How much an entry of the time line matters to somebody who looks for what went wrong.
enum class Weight : int { notice = 0, warning = 1, trouble = 2 };

/// The weight of a word of the table `timeline`; words not known are warnings.
Weight weight_of(std::string_view what);

}  // namespace pv::report
