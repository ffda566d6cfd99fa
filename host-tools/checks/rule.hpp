// What a rule is: its name and evidence, what it is shown of a run, and what it says in the end.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "paravane/trace_event.hpp"
#include "store/results.hpp"

namespace pv::checks {

class World;
class Findings;
struct RuleInfo;
struct Draft;
struct StrayCompletion;
struct Transfer;
struct Mapping;
struct Command;
struct Doorbell;
struct Limits;

/// What a rule may use. References outlive the rule.
struct RuleContext {
    const RuleInfo& info;
    const World& world;  ///< the run as far as it was seen
    Findings& findings;
    const Limits& limits;
};

/// One rule, judging one run. The analysis calls it in the order of the trace: first `on_event`, then what
/// the model made of that event. All calls come from one thread. What the guest wrote is hostile: no call
/// asserts.
class Rule {
  public:
    explicit Rule(const RuleContext& context) : context_(context) {}

    Rule(const Rule&) = delete;
    Rule& operator=(const Rule&) = delete;
    virtual ~Rule() = default;

    virtual void on_event(const trace::Event&) {}

    /// A device begins to use memory, known at the earliest moment the owner is known.
    virtual void on_transfer(const Transfer&) {}

    /// The guest gave memory to a device.
    virtual void on_map(const Mapping&) {}

    /// The guest took it back: `mapping.unmapped` is set.
    virtual void on_unmap(const Mapping&) {}

    /// The guest announced a command (marker).
    virtual void on_submit(const Command&) {}

    /// The device fetched a command, announced or not.
    virtual void on_take(const Command&) {}

    /// The device finished a command (`completed` is set), or the driver told its caller (`acknowledged`).
    virtual void on_complete(const Command&) {}

    virtual void on_acknowledge(const Command&) {}

    /// The model lets go of a command: everything about it is known.
    virtual void on_close(const Command&) {}

    /// A device finished something that fits no command.
    virtual void on_stray(const StrayCompletion&) {}

    /// A doorbell register was written.
    virtual void on_doorbell(const Doorbell&) {}

    /// The trace is over. `finished`: the guest powered off by itself.
    virtual void finish(bool finished) { static_cast<void>(finished); }

    /// What the rule had to judge, and what kept it from judging. Called after `finish`.
    struct Observed {
        std::uint64_t count = 0;  ///< in RuleInfo::unit
        std::string note;         ///< what was missing (count 0), or what limits the evidence
        bool no_subject = false;  ///< the machine has nothing the rule is about: no IOMMU, say
    };

    [[nodiscard]] virtual Observed observed() const = 0;

  protected:
    const World& world() const { return context_.world; }

    const Limits& limits() const { return context_.limits; }

    /// Adds a finding of this rule.
    void report(Draft draft);

    /// Why a rule that needs `feature` (pv_marker_feature) has nothing to judge; "" when the guest promises
    /// it.
    [[nodiscard]] std::string missing(std::uint64_t feature, std::string_view what) const;

  private:
    RuleContext context_;
};

/// What is known of a rule without running it.
struct RuleInfo {
    std::string_view name;     ///< kebab case, stable
    std::string_view summary;  ///< what holds: "every byte a device reads or writes lies in ..."
    store::Severity severity;
    std::string_view evidence;  ///< letters of docs/rules/index.md: "E M"
    std::string_view unit;      ///< plural: "transfers"
    bool needs_markers;         ///< says nothing about a guest without them
    std::unique_ptr<Rule> (*create)(const RuleContext&);
};

/// Every rule, in the order in which reports list them.
[[nodiscard]] std::span<const RuleInfo> rules();

/// The rule called `name`; nullptr when there is none.
[[nodiscard]] const RuleInfo* find_rule(std::string_view name);

}  // namespace pv::checks
