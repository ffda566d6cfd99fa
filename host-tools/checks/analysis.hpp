// One pass of the selected rules over the events of a run: fed one by one, without a database.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "checks/findings.hpp"
#include "checks/limits.hpp"
#include "checks/model/context.hpp"
#include "checks/model/world.hpp"
#include "checks/rule.hpp"
#include "store/results.hpp"

namespace pv::checks {

/// Rows that are written as they become known. Functions may be empty.
struct Sink {
    std::function<void(const store::Command&)> command;
    std::function<void(const store::TimelineEntry&)> timeline;
};

class Analysis final : private Signals {
  public:
    static constexpr std::size_t max_timeline = 10'000;  ///< entries; further ones are not written

    /// `selected` are entries of rules(); the references are kept.
    Analysis(std::span<const RuleInfo* const> selected, const Limits& limits, Context context, Sink sink);

    /// Events in the order of their sequence numbers.
    void see(const trace::Event& event);

    struct Outcome {
        std::vector<store::RuleResult> rules;                 ///< in the order of selection
        std::vector<std::string> no_subject;                  ///< rules that had nothing to be about
        std::vector<store::Finding> findings;                 ///< in the order of the trace; ids are not set
        std::vector<store::Finding> known;                    ///< those that do not count, the same
        std::vector<std::uint32_t> known_by;                  ///< what `known` said of each
        std::map<std::uint32_t, std::uint64_t> known_counts;  ///< findings by what `known` said, with folded
    };

    /// `finished`: the guest powered off by itself. What is `known` does not count against a rule, and is in
    /// its note. Call once.
    [[nodiscard]] Outcome finish(bool finished, const Known& known = {});

    [[nodiscard]] const World& world() const { return world_; }

  private:
    void transfer(const Transfer& transfer) override;
    void mapped(const Mapping& mapping) override;
    void unmapped(const Mapping& mapping) override;
    void submitted(const Command& command) override;
    void taken(const Command& command) override;
    void completed(const Command& command) override;
    void acknowledged(const Command& command) override;
    void closed(const Command& command) override;
    void stray(const StrayCompletion& completion) override;
    void doorbell(const Doorbell& doorbell) override;
    void timeline(const Place& at, Bdf bdf, std::string_view what, std::string detail) override;

    struct Running {
        const RuleInfo* info;
        std::unique_ptr<Rule> rule;
    };

    template <class T>
    void tell(void (Rule::*what)(const T&), const T& about) {
        for (const Running& running : running_) {
            (running.rule.get()->*what)(about);
        }
    }

    Context context_;
    Limits limits_;
    Sink sink_;
    World world_;
    Findings findings_;
    std::vector<Running> running_;
    std::size_t timeline_entries_ = 0;
    bool finished_ = false;
};

}  // namespace pv::checks
