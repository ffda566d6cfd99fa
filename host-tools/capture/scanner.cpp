// What distinguishes text from the remains of a torn line.
// SPDX-License-Identifier: MIT
#include "capture/scanner.hpp"

#include <algorithm>

#include "store/utf8.hpp"

namespace pv::capture {

bool holds_header(std::string_view text) {
    for (std::size_t at = text.find('@'); at != std::string_view::npos; at = text.find('@', at + 1)) {
        Scanner scanner(text.substr(at + 1));
        std::uint64_t seconds = 0;
        std::uint64_t microseconds = 0;
        if (scanner.digits(seconds) && scanner.literal(".") && scanner.digits(microseconds) &&
            scanner.literal(":")) {
            return true;
        }
    }
    return false;
}

bool is_clean_text(std::string_view text) {
    const bool controls = std::ranges::any_of(text, [](char c) {
        const auto byte = static_cast<unsigned char>(c);
        return (byte < 0x20 && byte != '\t') || byte == 0x7f;
    });
    return !controls && store::is_storable(text) && !holds_header(text);
}

}  // namespace pv::capture
