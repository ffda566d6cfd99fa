// What the rules about translation share: who changed the entry, whether the probe was on, how much it saw.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "checks/findings.hpp"
#include "checks/model/types.hpp"
#include "checks/rule.hpp"

namespace pv::checks {

/// Follows the lines of the plugin's probe `tlb` (docs/translation.md). A rule of this family overrides
/// `judge` and says in `observed` what it counts.
class TranslationRule : public Rule {
  public:
    using Rule::Rule;

    void on_event(const trace::Event& event) final;

  protected:
    /// Called for every event after its change is known.
    virtual void judge(const trace::Event& event) = 0;

    /// `event` breaks the rule at the page of `address`: counts the finding, and begins its draft. `what` the
    /// event is in the finding's list of events.
    [[nodiscard]] Draft begin_finding(const trace::Event& event, std::uint64_t address,
                                      std::string_view what);

    /// Adds change `number`, and who made it.
    void add_change(Draft& draft, std::uint64_t number) const;

    /// Adds the instruction by which `holder` is held to what a profile told; 0: there is none.
    void add_use(Draft& draft, std::uint64_t holder, std::uint64_t use) const;

    /// What the probe said last of all it saw; zeros before it said anything.
    struct Seen {
        std::uint64_t changes = 0;
        std::uint64_t shootdowns = 0;
        std::uint64_t entries = 0;
        std::uint64_t skipped = 0;
        bool told = false;  ///< a profile tells of what follows
        std::uint64_t told_frames = 0, told_shootdowns = 0;
    };

    [[nodiscard]] const Seen& seen() const { return seen_; }

    /// `count` is what the rule judged, the findings not among it. When there is none of either: the probe is
    /// off, or the guest did `nothing` that the rule is about (no subject); or the probe could not follow
    /// this guest, or the guest lacks a promise: `why`.
    [[nodiscard]] Observed observed_of(std::uint64_t count, std::string nothing, std::string why = {}) const;

  private:
    /// A store that took a translation away, as paravane_table_change told of it.
    struct Change {
        Place told;  ///< the line; cpu and pc are the storing instruction's
        std::uint64_t old_entry = 0;
        std::uint64_t new_entry = 0;
        std::uint64_t level = 0;
        std::int64_t age = 0;  ///< microseconds from the store to the line
    };

    /// "symbol (0x...)" where there is a symbol, as the event of that number sees it.
    [[nodiscard]] std::string place_text(std::uint64_t pc, std::int64_t sequence) const;

    static constexpr std::size_t most_changes = 4'096;

    std::map<std::uint64_t, Change> changes_;
    Seen seen_;
    std::uint64_t findings_ = 0;
    bool is_on_ = false;
    std::uint64_t unseen_ = 0;  ///< trace::TranslationUnseen
};

/// A rule that lines of one kind break, each for a change that it names.
template <trace::Kind line>
class BrokenByLine : public TranslationRule {
  public:
    using TranslationRule::TranslationRule;

  protected:
    void judge(const trace::Event& event) final {
        if (event.kind != line) {
            other(event);
            return;
        }
        Draft draft = begin_finding(event, trace::get<line, "address">(event), "here");
        add_change(draft, trace::get<line, "change">(event));
        describe(event, draft);
        report(std::move(draft));
    }

    /// Gives the draft its title, its cause, and lines of its own.
    virtual void describe(const trace::Event& event, Draft& draft) const = 0;

    /// Every event that is no such line.
    virtual void other(const trace::Event&) {}
};

/// "a 4 KiB page", "a 2 MiB page", "a table" for an entry of that level.
[[nodiscard]] std::string what_entry(std::uint64_t entry, std::uint64_t level);

}  // namespace pv::checks
