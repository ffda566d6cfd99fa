// UTF-8 as the Unicode standard's table 3-7 defines it.
// SPDX-License-Identifier: MIT
#include "store/utf8.hpp"

#include <algorithm>
#include <cstdint>

namespace pv::store {
namespace {

std::uint8_t byte_at(std::string_view text, std::size_t at) {
    return static_cast<std::uint8_t>(text[at]);
}

/// Length of the well-formed character at `at`; 0 where there is none. NUL counts as none.
std::size_t character_length(std::string_view text, std::size_t at) {
    const std::uint8_t first = byte_at(text, at);
    if (first < 0x80) {
        return first == 0 ? 0 : 1;
    }
    const std::size_t length = first >= 0xc2 && first <= 0xdf   ? 2
                               : first >= 0xe0 && first <= 0xef ? 3
                               : first >= 0xf0 && first <= 0xf4 ? 4
                                                                : 0;
    if (length == 0 || text.size() - at < length) {
        return 0;
    }
    const std::uint8_t low = first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : 0x80;
    const std::uint8_t high = first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : 0xbf;
    if (byte_at(text, at + 1) < low || byte_at(text, at + 1) > high) {
        return 0;
    }
    for (std::size_t i = 2; i < length; ++i) {
        if ((byte_at(text, at + i) & 0xc0) != 0x80) {
            return 0;
        }
    }
    return length;
}

}  // namespace

bool is_storable(std::string_view text) {
    for (std::size_t at = 0; at < text.size();) {
        const std::size_t length = character_length(text, at);
        if (length == 0) {
            return false;
        }
        at += length;
    }
    return true;
}

std::string make_storable(std::string_view text, std::size_t limit) {
    static constexpr std::string_view replacement = "\xef\xbf\xbd";
    std::string result;
    result.reserve(std::min(text.size(), limit));
    for (std::size_t at = 0; at < text.size();) {
        const std::size_t length = character_length(text, at);
        const std::string_view character = length == 0 ? replacement : text.substr(at, length);
        if (result.size() + character.size() > limit) {
            break;
        }
        result += character;
        at += std::max<std::size_t>(length, 1);
    }
    return result;
}

}  // namespace pv::store
