// Keeps, folds and orders findings.
// SPDX-License-Identifier: MIT
#include "checks/findings.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "checks/model/world.hpp"
#include "checks/rule.hpp"
#include "checks/text.hpp"

namespace pv::checks {

void Findings::add(const RuleInfo& rule, Draft draft) {
    OfRule& of_rule = rules_[std::string(rule.name)];
    if (!draft.part_of.empty() && draft.part_of == of_rule.last_part) {
        if (of_rule.last_kept && draft.length) {
            store::Finding& whole = kept_[*of_rule.last_kept];
            const bool follows = whole.address && whole.length && draft.address &&
                                 *whole.address + *whole.length == *draft.address;
            if (follows) {
                *whole.length += *draft.length;
            }
            if (whole.events.size() < 16) {
                whole.events.insert(whole.events.end(), draft.events.begin(), draft.events.end());
            }
        }
        return;
    }
    of_rule.last_part = draft.part_of;
    of_rule.last_kept.reset();
    ++of_rule.all;
    auto cause = of_rule.causes.find(draft.cause);
    if (cause == of_rule.causes.end()) {
        if (of_rule.causes.size() >= max_causes) {
            return;
        }
        cause = of_rule.causes.emplace(draft.cause, Cause{}).first;
    }
    ++cause->second.all;
    if (cause->second.kept.size() >= std::max<std::size_t>(limits_.findings_kept, 1)) {
        return;
    }
    store::Finding finding;
    finding.rule = rule.name;
    finding.severity = rule.severity;
    finding.sequence = draft.at.sequence;
    finding.time = draft.at.time;
    if (draft.at.cpu >= 0) {
        finding.cpu = draft.at.cpu;
    }
    if (draft.at.pc != 0) {
        finding.pc = draft.at.pc;
    }
    if (draft.bdf != no_device) {
        finding.bdf = draft.bdf;
    }
    finding.address = draft.address;
    finding.length = draft.length;
    finding.title = std::move(draft.title);
    finding.detail = fmt::format("{}", fmt::join(draft.lines, "\n"));
    finding.events = std::move(draft.events);
    cause->second.kept.push_back(kept_.size());
    of_rule.last_kept = kept_.size();
    kept_.push_back(std::move(finding));
}

std::uint64_t Findings::count(std::string_view rule) const {
    const auto found = rules_.find(rule);
    return found == rules_.end() ? 0 : found->second.all;
}

std::uint64_t Findings::suppressed(std::string_view rule) const {
    const auto found = rules_.find(rule);
    return found == rules_.end() ? 0 : found->second.suppressed;
}

Taken Findings::take(const Known& known) {
    Taken taken;
    std::vector<std::optional<std::uint32_t>> known_by(kept_.size());
    for (auto& [name, rule] : rules_) {
        for (const auto& [key, cause] : rule.causes) {
            const std::uint64_t folded = cause.all - cause.kept.size();
            for (const std::size_t index : cause.kept) {
                store::Finding& finding = kept_[index];
                const bool first = index == cause.kept.front();
                if (known && (known_by[index] = known(finding)).has_value()) {
                    const std::uint64_t count = 1 + (first ? folded : 0);
                    rule.suppressed += count;
                    taken.counts[*known_by[index]] += count;
                }
                if (first && folded != 0) {
                    finding.detail += fmt::format(
                        "\nrepeated: {} with the same cause, of which {} kept", grouped(cause.all),
                        cause.kept.size() == 1 ? "this one is" : fmt::format("{} are", cause.kept.size()));
                }
            }
        }
    }
    std::vector<std::size_t> order(kept_.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::ranges::stable_sort(order, {}, [&](std::size_t index) { return kept_[index].sequence; });
    for (const std::size_t index : order) {
        store::Finding& finding = kept_[index];
        // The table's key is (finding, event, role): each pair once, in order.
        const auto key = [](const store::FindingEvent& event) {
            return std::pair(event.sequence, event.role);
        };
        std::ranges::sort(finding.events, {}, key);
        const auto doubles = std::ranges::unique(finding.events, {}, key);
        finding.events.erase(doubles.begin(), doubles.end());
        std::erase_if(finding.events, [](const store::FindingEvent& event) { return event.sequence == 0; });
        if (known_by[index]) {
            taken.known_by.push_back(*known_by[index]);
        }
        (known_by[index] ? taken.known : taken.counting).push_back(std::move(finding));
    }
    return taken;
}

}  // namespace pv::checks
