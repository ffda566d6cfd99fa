// The family's bookkeeping and words.
// SPDX-License-Identifier: MIT
#include "checks/rules/translation.hpp"

#include <fmt/format.h>

#include <array>
#include <string_view>

#include "checks/model/world.hpp"
#include "checks/text.hpp"

namespace pv::checks {
namespace {

using trace::Kind;

constexpr std::uint64_t present = 1, writable = 2, user = 4, large = 1 << 7, global = 1 << 8;
constexpr std::uint64_t no_execute = 1ULL << 63;

/// "0x8000000012345067 (present, writable, not executable)".
std::string describe_entry(std::uint64_t entry) {
    if ((entry & present) == 0) {
        return fmt::format("{:#x} (not present)", entry);
    }
    return fmt::format("{:#x} ({}{}{}{})", entry, (entry & writable) != 0 ? "writable" : "read-only",
                       (entry & user) != 0 ? ", user" : "", (entry & no_execute) != 0 ? "" : ", executable",
                       (entry & global) != 0 ? ", global" : "");
}

std::string_view why_unseen(std::uint64_t reason) {
    switch (static_cast<trace::TranslationUnseen>(reason)) {
        case trace::TranslationUnseen::no_memory:
            return "the guest's memory is not a shared memfd";
        case trace::TranslationUnseen::unknown_layout:
            return "it is not known where the guest's memory lies";
        case trace::TranslationUnseen::not_long_mode:
            return "the guest uses page tables of 32-bit code, which are not followed";
        default:
            return "the probe says that it does not follow this guest";
    }
}

}  // namespace

std::string what_entry(std::uint64_t entry, std::uint64_t level) {
    if (level > 3 || (level > 1 && (entry & large) == 0)) {
        return "a table";
    }
    constexpr std::array<std::string_view, 4> sizes = {"", "4 KiB", "2 MiB", "1 GiB"};
    return fmt::format("a {} page", sizes[level]);
}

void TranslationRule::on_event(const trace::Event& event) {
    switch (event.kind) {
        case Kind::table_change:
            if (changes_.size() < most_changes) {
                changes_.insert_or_assign(
                    trace::get<Kind::table_change, "change">(event),
                    Change{.told = place_of(event),
                           .old_entry = trace::get<Kind::table_change, "old_entry">(event),
                           .new_entry = trace::get<Kind::table_change, "new_entry">(event),
                           .level = trace::get<Kind::table_change, "level">(event),
                           .age = static_cast<std::int64_t>(trace::get<Kind::table_change, "age">(event))});
            }
            is_on_ = true;
            break;
        case Kind::translation:
            is_on_ = true;
            seen_.changes = trace::get<Kind::translation, "changes">(event);
            seen_.shootdowns = trace::get<Kind::translation, "shootdowns">(event);
            seen_.entries = trace::get<Kind::translation, "entries">(event);
            seen_.skipped = trace::get<Kind::translation, "skipped">(event);
            break;
        case Kind::translation_profile:
            is_on_ = true;
            seen_.told = true;
            seen_.told_frames = trace::get<Kind::translation_profile, "frames">(event);
            seen_.told_shootdowns = trace::get<Kind::translation_profile, "shootdowns">(event);
            break;
        case Kind::translation_unseen:
            is_on_ = true;
            unseen_ = trace::get<Kind::translation_unseen, "reason">(event);
            break;
        default:
            break;
    }
    judge(event);
}

Draft TranslationRule::begin_finding(const trace::Event& event, std::uint64_t address,
                                     std::string_view what) {
    ++findings_;
    Draft draft;
    draft.at = place_of(event);
    draft.address = address;
    draft.events.push_back({event.sequence, std::string(what)});
    return draft;
}

void TranslationRule::add_change(Draft& draft, std::uint64_t number) const {
    const auto found = changes_.find(number);
    if (found == changes_.end()) {
        return;
    }
    const Change& change = found->second;
    draft.lines.push_back(fmt::format("old entry: {}, of {}", describe_entry(change.old_entry),
                                      what_entry(change.old_entry, change.level)));
    draft.lines.push_back(fmt::format("new entry: {}", describe_entry(change.new_entry)));
    draft.lines.push_back(fmt::format("stored: by cpu {} at {}, {} before", change.told.cpu,
                                      place_text(change.told.pc, change.told.sequence),
                                      duration(change.age)));
    draft.events.push_back({change.told.sequence, "changed"});
}

void TranslationRule::add_use(Draft& draft, std::uint64_t holder, std::uint64_t use) const {
    if (use != 0) {
        draft.lines.push_back(
            fmt::format("held to it: cpu {} at {}, which executed nothing since the change that "
                        "makes it forget",
                        holder, place_text(use, draft.at.sequence)));
    }
}

std::string TranslationRule::place_text(std::uint64_t pc, std::int64_t sequence) const {
    const std::string symbol =
        world().context().symbol ? world().context().symbol(pc, sequence) : std::string();
    return symbol.empty() ? fmt::format("{:#x}", pc) : fmt::format("{} ({:#x})", symbol, pc);
}

Rule::Observed TranslationRule::observed_of(std::uint64_t count, std::string nothing, std::string why) const {
    if (!is_on_) {
        return {0, "the probe is off (--probe tlb)", true};
    }
    count += findings_;
    if (count == 0) {
        why = unseen_ != 0 ? std::string(why_unseen(unseen_)) : std::move(why);
        return why.empty() ? Observed{0, std::move(nothing), seen_.entries != 0}
                           : Observed{0, std::move(why), false};
    }
    std::string note;
    if (seen_.skipped != 0) {
        note = fmt::format("{} were too many to follow", counted(seen_.skipped, "changes"));
    }
    return {count, note};
}

}  // namespace pv::checks
