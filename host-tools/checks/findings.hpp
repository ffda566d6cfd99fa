// Findings as the rules make them: repetitions of one cause are folded, memory is bounded.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "checks/limits.hpp"
#include "checks/model/types.hpp"
#include "store/results.hpp"

namespace pv::checks {

class World;
struct RuleInfo;

/// One violation as a rule describes it.
struct Draft {
    Place at;  ///< the event that breaks the rule
    Bdf bdf = no_device;
    std::optional<std::uint64_t> address;
    std::optional<std::uint64_t> length;
    std::string title;               ///< one line
    std::vector<std::string> lines;  ///< of the detail, each "what: ..."
    std::vector<store::FindingEvent> events;
    /// Violations with the same part are one: the pages of one command, say. "": each is one of its own.
    std::string part_of;
    /// Findings with the same cause are folded: the first few are kept, the others counted.
    std::string cause;
};

/// The number of the entry that a known finding fits; nothing for one that counts. May be empty.
using Known = std::function<std::optional<std::uint32_t>(const store::Finding&)>;

/// What came of a run, each list in the order of the trace.
struct Taken {
    std::vector<store::Finding> counting;
    std::vector<store::Finding> known;
    std::vector<std::uint32_t> known_by;            ///< the entry of each of `known`
    std::map<std::uint32_t, std::uint64_t> counts;  ///< findings of each entry, folded ones included
};

class Findings {
  public:
    Findings(const World& world, const Limits& limits) : world_(world), limits_(limits) {}

    void add(const RuleInfo& rule, Draft draft);

    /// Findings of a rule, those folded away included.
    [[nodiscard]] std::uint64_t count(std::string_view rule) const;

    /// Every finding that is kept, with what was folded told in its detail, which goes where the first of its
    /// cause goes.
    [[nodiscard]] Taken take(const Known& known = {});

    /// Findings of a rule that take() found to be known.
    [[nodiscard]] std::uint64_t suppressed(std::string_view rule) const;

  private:
    static constexpr std::size_t max_causes = 256;  ///< of one rule; further causes are counted only

    struct Cause {
        std::vector<std::size_t> kept;  ///< into kept_
        std::uint64_t all = 0;
    };

    struct OfRule {
        std::map<std::string, Cause, std::less<>> causes;
        std::uint64_t all = 0;
        std::uint64_t suppressed = 0;
        std::string last_part;
        std::optional<std::size_t> last_kept;
    };

    const World& world_;
    Limits limits_;
    std::map<std::string, OfRule, std::less<>> rules_;
    std::vector<store::Finding> kept_;
};

}  // namespace pv::checks
