// Widths and wrapping of text that is already safe to show.
// SPDX-License-Identifier: MIT
#include "report/text.hpp"

#include <algorithm>
#include <array>
#include <cstdint>

namespace pv::report {
namespace {

struct Character {
    std::uint32_t code = 0;
    std::size_t length = 1;
};

// Lenient: the input was validated before; a stray byte is one character.
Character first(std::string_view text) {
    const auto byte = [&](std::size_t i) { return static_cast<std::uint8_t>(text[i]); };
    const std::uint8_t lead = byte(0);
    const std::size_t length = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : lead >= 0xc0 ? 2 : 1;
    if (length == 1 || text.size() < length) {
        return {lead, 1};
    }
    std::uint32_t code = lead & (0x7fU >> length);
    for (std::size_t i = 1; i < length; ++i) {
        code = code << 6U | (byte(i) & 0x3fU);
    }
    return {code, length};
}

struct Range {
    std::uint32_t from;
    std::uint32_t to;
};

// Unicode 15: general category Mn and Me in the blocks that hold the common ones.
constexpr auto combining = std::to_array<Range>({{0x300, 0x36f},
                                                 {0x483, 0x489},
                                                 {0x591, 0x5bd},
                                                 {0x610, 0x61a},
                                                 {0x64b, 0x65f},
                                                 {0xe31, 0xe31},
                                                 {0xe34, 0xe3a},
                                                 {0x1ab0, 0x1aff},
                                                 {0x1dc0, 0x1dff},
                                                 {0x20d0, 0x20ff},
                                                 {0xfe00, 0xfe0f},
                                                 {0xfe20, 0xfe2f},
                                                 {0xe0100, 0xe01ef}});
// Unicode 15, EastAsianWidth W and F, and emoji drawn wide.
constexpr auto wide = std::to_array<Range>({{0x1100, 0x115f},
                                            {0x2e80, 0x303e},
                                            {0x3041, 0x33ff},
                                            {0x3400, 0x4dbf},
                                            {0x4e00, 0x9fff},
                                            {0xa000, 0xa4cf},
                                            {0xac00, 0xd7a3},
                                            {0xf900, 0xfaff},
                                            {0xfe30, 0xfe6f},
                                            {0xff00, 0xff60},
                                            {0xffe0, 0xffe6},
                                            {0x1f300, 0x1f64f},
                                            {0x1f900, 0x1f9ff},
                                            {0x20000, 0x3fffd}});

bool in(std::uint32_t code, const auto& ranges) {
    return std::ranges::any_of(ranges, [&](Range range) { return code >= range.from && code <= range.to; });
}

std::size_t width_of(std::uint32_t code) {
    if (code < 0x300) {
        return 1;
    }
    return in(code, combining) ? 0 : in(code, wide) ? 2 : 1;
}

// Bytes of the longest beginning of `text` that fits `width` columns: at least one character.
std::size_t fitting(std::string_view text, std::size_t width) {
    std::size_t used = 0;
    std::size_t at = 0;
    while (at < text.size()) {
        const Character character = first(text.substr(at));
        used += width_of(character.code);
        if (used > width && at > 0) {
            break;
        }
        at += character.length;
    }
    return at;
}

void wrap_line(std::string& result, std::string_view line, std::size_t width, std::string_view indent) {
    const std::size_t own = std::min(line.find_first_not_of(' '), line.size());
    // Deep indentation must not leave a column of single letters.
    const std::string lead = std::string(indent) + std::string(std::min(own, width / 3), ' ');
    const std::size_t room = std::max<std::size_t>(width > columns(lead) ? width - columns(lead) : 0, 10);
    std::string_view rest = line.substr(own);
    do {
        std::size_t taken = fitting(rest, room);
        if (taken < rest.size() && rest[taken] != ' ') {
            const std::size_t space = rest.substr(0, taken).rfind(' ');
            taken = space == std::string_view::npos || space == 0 ? taken : space;
        }
        std::string_view piece = rest.substr(0, taken);
        piece = piece.substr(0, piece.find_last_not_of(' ') + 1);
        result.append(piece.empty() ? std::string_view() : std::string_view(lead)).append(piece) += '\n';
        rest.remove_prefix(taken);
        rest.remove_prefix(std::min(rest.find_first_not_of(' '), rest.size()));
    } while (!rest.empty());
}

}  // namespace

std::size_t columns(std::string_view text) {
    std::size_t result = 0;
    while (!text.empty()) {
        const Character character = first(text);
        result += width_of(character.code);
        text.remove_prefix(character.length);
    }
    return result;
}

std::string wrap(std::string_view text, std::size_t width, std::string_view indent) {
    std::string result;
    while (!text.empty()) {
        const std::size_t end = std::min(text.find('\n'), text.size());
        wrap_line(result, text.substr(0, end), width, indent);
        text.remove_prefix(std::min(end + 1, text.size()));
    }
    return result;
}

std::string pad(std::string_view text, std::size_t width) {
    const std::size_t used = columns(text);
    return std::string(text) + std::string(used < width ? width - used : 0, ' ');
}

}  // namespace pv::report
