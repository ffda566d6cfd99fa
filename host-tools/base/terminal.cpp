// Escaping of hostile text for terminals.
// SPDX-License-Identifier: MIT
#include "base/terminal.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <iterator>

namespace pv {
namespace {

struct Decoded {
    std::uint32_t code = 0;
    std::size_t length = 0;  ///< 0: not UTF-8
};

// RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF.
Decoded decode(std::string_view text) {
    const auto byte = [&](std::size_t i) { return static_cast<std::uint8_t>(text[i]); };
    const std::uint8_t lead = byte(0);
    if (lead < 0x80) {
        return {lead, 1};
    }
    const std::size_t length = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
    if (lead < 0xc2 || lead > 0xf4 || text.size() < length) {
        return {};
    }
    std::uint32_t code = lead & (0x7fU >> length);
    for (std::size_t i = 1; i < length; ++i) {
        if ((byte(i) & 0xc0U) != 0x80U) {
            return {};
        }
        code = code << 6U | (byte(i) & 0x3fU);
    }
    const bool overlong = (length == 3 && code < 0x800) || (length == 4 && code < 0x10000);
    if (overlong || (code >= 0xd800 && code <= 0xdfff) || code > 0x10ffff) {
        return {};
    }
    return {code, length};
}

bool obeyed_or_hidden(std::uint32_t code) {
    return code < 0x20 || (code >= 0x7f && code <= 0x9f) || code == 0xad || code == 0x61c ||
           (code >= 0x200b && code <= 0x200f) || (code >= 0x2028 && code <= 0x202e) ||
           (code >= 0x2060 && code <= 0x206f) || code == 0xfeff || (code >= 0xfff9 && code <= 0xfffb) ||
           (code >= 0xe0000 && code <= 0xe007f);
}

}  // namespace

std::string escape_for_terminal(std::string_view text, const EscapeOptions& options) {
    const std::size_t taken = text.size() > options.max_bytes ? options.max_bytes : text.size();
    std::string result;
    result.reserve(taken + 16);
    std::string_view rest = text.substr(0, taken);
    while (!rest.empty()) {
        const Decoded decoded = decode(rest);
        if (decoded.length == 0) {
            fmt::format_to(std::back_inserter(result), "\\x{:02x}", static_cast<std::uint8_t>(rest.front()));
            rest.remove_prefix(1);
            continue;
        }
        const std::uint32_t code = decoded.code;
        if (code == '\n' || code == '\t') {
            if (options.keep_newlines) {
                result += static_cast<char>(code);
            } else {
                result += code == '\n' ? "\\n" : "\\t";
            }
        } else if (code == '\\' && !options.keep_newlines) {
            result += "\\\\";
        } else if (!obeyed_or_hidden(code)) {
            result += rest.substr(0, decoded.length);
        } else if (code < 0x100) {
            fmt::format_to(std::back_inserter(result), "\\x{:02x}", code);
        } else {
            fmt::format_to(std::back_inserter(result), "\\u{{{:x}}}", code);
        }
        rest.remove_prefix(decoded.length);
    }
    if (taken < text.size()) {
        fmt::format_to(std::back_inserter(result), "...({} more bytes)", text.size() - taken);
    }
    return result;
}

bool is_terminal(int fd) {
    const char* term = std::getenv("TERM");
    return ::isatty(fd) == 1 && (term == nullptr || std::string_view(term) != "dumb");
}

}  // namespace pv
