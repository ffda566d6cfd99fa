// What the rules about translation share: who changed the entry, whether the probe was on, how much it saw.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

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
    /// A store that took a translation away, as paravane_table_change told of it.
    struct Change {
        Place told;  ///< the line; cpu and pc are the storing instruction's
        std::uint64_t old_entry = 0;
        std::uint64_t new_entry = 0;
        std::uint64_t level = 0;
        std::int64_t age = 0;  ///< microseconds from the store to the line
    };

    /// Called for every event after its change is known.
    virtual void judge(const trace::Event& event) = 0;

    [[nodiscard]] const Change* change(std::uint64_t number) const;

    /// A draft for a finding about the page at `address`: the change, and who made it. `now` is where it
    /// broke.
    [[nodiscard]] Draft drafted(const Place& now, std::uint64_t number, std::uint64_t address) const;

    /// What the probe said last of all it saw; zeros before it said anything.
    struct Seen {
        std::uint64_t changes = 0;
        std::uint64_t shootdowns = 0;
        std::uint64_t entries = 0;
        std::uint64_t skipped = 0;
    };

    [[nodiscard]] const Seen& seen() const { return seen_; }

    /// `count` is what the rule judged. When that is nothing: the probe is off, or the guest did `nothing`
    /// that the rule is about (no subject); or the probe could not follow this guest, or the guest lacks a
    /// promise: `why`.
    [[nodiscard]] Observed observed_of(std::uint64_t count, std::string nothing, std::string why = {}) const;

  private:
    static constexpr std::size_t most_changes = 4'096;

    std::map<std::uint64_t, Change> changes_;
    Seen seen_;
    bool is_on_ = false;
    std::uint64_t unseen_ = 0;  ///< trace::TranslationUnseen
};

/// "a 4 KiB page", "a 2 MiB page", "a table" for an entry of that level.
[[nodiscard]] std::string what_entry(std::uint64_t entry, std::uint64_t level);

}  // namespace pv::checks
