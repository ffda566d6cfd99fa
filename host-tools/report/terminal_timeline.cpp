// The time line of what went wrong, as lines of text.
// SPDX-License-Identifier: MIT
#include "report/terminal_timeline.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <string_view>

#include "base/terminal.hpp"
#include "report/format.hpp"
#include "report/text.hpp"

namespace pv::report {
namespace {

constexpr std::size_t shown_first = 28;
constexpr std::size_t shown_last = 12;
// The same thing at the same device again within this time is told once, with how often: a stall holds, and
// its end lets go, many requests at a time.
constexpr std::int64_t burst = 10'000;  // microseconds

struct Letter {
    std::string_view what;
    char letter;
    std::string_view meaning;
};

constexpr auto letters = std::to_array<Letter>({{"timeout", 'T', "timeout"},
                                                {"abort", 'A', "abort"},
                                                {"aborted", 'a', "aborted"},
                                                {"reset", 'R', "reset"},
                                                {"fault begin", '[', "fault begins"},
                                                {"fault end", ']', "fault ends"},
                                                {"slow", 'S', "slow"},
                                                {"late completion", 'C', "late completion"},
                                                {"error", 'E', "error"},
                                                {"lost", 'L', "lost"},
                                                {"", 'o', "other"}});

char letter_of(std::string_view what) {
    const auto found = std::ranges::find(letters, what, &Letter::what);
    return found == letters.end() ? letters.back().letter : found->letter;
}

std::string who(const Summary& summary, const store::TimelineEntry& entry) {
    return entry.bdf ? device_text(summary.devices, *entry.bdf) : "guest";
}

// Where a letter for column `at` goes: there, or close by when others stand there; over the last one when all
// is full.
std::size_t free_column(std::string_view strip, std::size_t at) {
    constexpr std::size_t farthest = 4;
    for (std::size_t away = 0; away <= farthest; ++away) {
        if (at + away < strip.size() && strip[at + away] == '-') {
            return at + away;
        }
        if (away <= at && strip[at - away] == '-') {
            return at - away;
        }
    }
    return at;
}

// Entries that are told in one line.
struct Told {
    const store::TimelineEntry* first = nullptr;
    std::int64_t last = 0;  // microseconds
    std::size_t count = 1;
    bool alike = true;  // all have the first one's detail
};

std::vector<Told> fold(const std::vector<const store::TimelineEntry*>& entries) {
    std::vector<Told> result;
    for (const store::TimelineEntry* entry : entries) {
        // Those further back ended earlier than a burst ago, or are of another kind: few have to be looked
        // at.
        const auto same = std::find_if(result.rbegin(), result.rend(), [&](const Told& told) {
            return (told.first->bdf == entry->bdf && told.first->what == entry->what) ||
                   entry->time - told.last > burst;
        });
        if (same == result.rend() || entry->time - same->last > burst) {
            result.push_back({.first = entry, .last = entry->time});
        } else {
            same->last = entry->time;
            ++same->count;
            same->alike = same->alike && same->first->detail == entry->detail;
        }
    }
    return result;
}

std::string detail_of(const Told& told) {
    const std::string detail = escape_for_terminal(told.first->detail, {.max_bytes = 400});
    if (told.count == 1) {
        return detail;
    }
    const std::string span = duration_text(told.last - told.first->time);
    return told.alike ? fmt::format("{} times within {}: {}", count_text(told.count), span, detail)
                      : fmt::format("{} within {}, the first: {}", count_text(told.count), span, detail);
}

// What the letters in use mean.
std::string legend(const std::map<std::string, std::string>& strips) {
    std::string result;
    for (const Letter& letter : letters) {
        if (std::ranges::any_of(strips, [&](const auto& strip) {
                return strip.second.find(letter.letter) != std::string::npos;
            })) {
            result += fmt::format("  {} {}", letter.letter, letter.meaning);
        }
    }
    return result;
}

// `lead` and behind it the wrapped `detail`; below it when that leaves too little room.
std::string entry_lines(const std::string& lead, std::string_view detail, std::size_t width) {
    const std::size_t used = columns(lead);
    const bool beside = used + 24 <= width;
    std::string text = wrap(detail, width, std::string(beside ? used : 6, ' '));
    if (beside && !text.empty()) {
        text.erase(0, used);
    }
    std::string result = lead;
    if (!beside && !text.empty()) {
        result.erase(result.find_last_not_of(' ') + 1);
        result += '\n';
    }
    result += text;
    result.erase(result.find_last_not_of(" \n") + 1);
    return result;
}

}  // namespace

std::vector<std::string> timeline_lines(const Summary& summary, std::size_t width) {
    std::vector<const store::TimelineEntry*> entries;
    std::size_t name_width = 0;
    for (const store::TimelineEntry& entry : summary.timeline) {
        if (weight_of(entry.what) != Weight::notice) {
            entries.push_back(&entry);
            name_width = std::max(name_width, columns(who(summary, entry)));
        }
    }
    if (std::ranges::none_of(entries,
                             [](const auto* entry) { return weight_of(entry->what) == Weight::trouble; })) {
        return {};
    }
    // From the first entry to the last, with room on both sides: a stall at the end of a long run is still
    // legible.
    const std::int64_t first = entries.front()->time;
    const std::int64_t last = entries.back()->time;
    const double span = std::max<double>(static_cast<double>(last) - static_cast<double>(first), 1.0);
    const std::size_t room = width > name_width + 14 ? width - name_width - 6 : 8;

    std::map<std::string, std::string> strips;
    for (const store::TimelineEntry* entry : entries) {
        std::string& strip = strips.try_emplace(who(summary, *entry), room, '-').first->second;
        const double part = (static_cast<double>(entry->time) - static_cast<double>(first)) / span;
        const auto at = std::min(static_cast<std::size_t>(part * static_cast<double>(room - 1)), room - 1);
        strip[free_column(strip, at)] = letter_of(entry->what);
    }
    std::vector<std::string> lines;
    for (const auto& [name, strip] : strips) {
        lines.push_back(fmt::format("  {}  |{}|", pad(name, name_width), strip));
    }
    const std::string left = moment_text(first);
    const std::string right = moment_text(last);
    lines.push_back(fmt::format("{}{}{}", std::string(name_width + 5, ' '),
                                pad(left, room > right.size() ? room - right.size() : 0), right));
    lines.push_back(legend(strips));

    const std::vector<Told> told = fold(entries);
    std::int64_t before = first;
    for (std::size_t i = 0; i < told.size(); ++i) {
        if (told.size() > shown_first + shown_last && i == shown_first) {
            const std::size_t skipped = told.size() - shown_first - shown_last;
            lines.push_back(fmt::format("  ... {} more", count_text(skipped)));
            i += skipped;
        }
        const store::TimelineEntry& entry = *told[i].first;
        const std::string delta = i == 0 ? "" : "+" + duration_text(entry.time - before);
        before = entry.time;
        const std::string lead = fmt::format("  {:>15} {:>9}  {}  {}  ", moment_text(entry.time), delta,
                                             pad(who(summary, entry), name_width),
                                             pad(escape_for_terminal(entry.what, {.max_bytes = 40}), 11));
        lines.push_back(entry_lines(lead, detail_of(told[i]), width));
    }
    return lines;
}

}  // namespace pv::report
