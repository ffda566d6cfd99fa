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

struct Letter {
    std::string_view what;
    char letter;
};

constexpr auto letters = std::to_array<Letter>({{"timeout", 'T'},
                                                {"abort", 'A'},
                                                {"reset", 'R'},
                                                {"fault begin", '['},
                                                {"fault end", ']'},
                                                {"error", 'E'},
                                                {"lost", 'L'}});

char letter_of(std::string_view what) {
    const auto found = std::ranges::find(letters, what, &Letter::what);
    return found == letters.end() ? 'o' : found->letter;
}

// When two things fall on one column, the one that matters more is drawn.
int rank(char letter) {
    constexpr std::string_view order = "-o[]ELRAT";
    return static_cast<int>(order.find(letter));
}

std::string who(const Summary& summary, const store::TimelineEntry& entry) {
    return entry.bdf ? device_text(summary.devices, *entry.bdf) : "guest";
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
        const char letter = letter_of(entry->what);
        if (rank(letter) > rank(strip[at])) {
            strip[at] = letter;
        }
    }
    std::vector<std::string> lines;
    for (const auto& [name, strip] : strips) {
        lines.push_back(fmt::format("  {}  |{}|", pad(name, name_width), strip));
    }
    const std::string left = moment_text(first);
    const std::string right = moment_text(last);
    lines.push_back(fmt::format("{}{}{}", std::string(name_width + 5, ' '),
                                pad(left, room > right.size() ? room - right.size() : 0), right));
    lines.emplace_back(
        "  T timeout  A abort  R reset  E error  L lost  [ fault begins  ] fault ends  o other");

    std::int64_t before = first;
    for (std::size_t i = 0; i < entries.size(); ++i) {
        if (entries.size() > shown_first + shown_last && i == shown_first) {
            const std::size_t skipped = entries.size() - shown_first - shown_last;
            lines.push_back(fmt::format("  ... {} more", count_text(skipped)));
            i += skipped;
        }
        const store::TimelineEntry& entry = *entries[i];
        const std::string delta = i == 0 ? "" : "+" + duration_text(entry.time - before);
        before = entry.time;
        const std::string lead = fmt::format("  {:>15} {:>9}  {}  {}  ", moment_text(entry.time), delta,
                                             pad(who(summary, entry), name_width),
                                             pad(escape_for_terminal(entry.what, {.max_bytes = 40}), 11));
        std::string text = wrap(escape_for_terminal(entry.detail, {.max_bytes = 400}), width,
                                std::string(std::min(columns(lead), width / 2), ' '));
        // The first line stands behind the lead, whatever room that leaves.
        text.erase(0, std::min(text.size(), std::min(columns(lead), width / 2)));
        std::string line = lead + text;
        while (!line.empty() && (line.back() == '\n' || line.back() == ' ')) {
            line.pop_back();
        }
        lines.push_back(std::move(line));
    }
    return lines;
}

}  // namespace pv::report
