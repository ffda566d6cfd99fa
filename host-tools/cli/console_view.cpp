// Shows a console.
// SPDX-License-Identifier: MIT
#include "cli/console_view.hpp"

#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <limits>

#include "base/terminal.hpp"

namespace pv::cli {
namespace {

// Bytes at the end of `text` that begin a UTF-8 sequence and do not end it: 0 to 3.
std::size_t unfinished(std::string_view text) {
    for (std::size_t back = 1; back <= 3 && back <= text.size(); ++back) {
        const auto byte = static_cast<std::uint8_t>(text[text.size() - back]);
        if ((byte & 0xc0U) == 0x80U) {
            continue;
        }
        const std::size_t length = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : byte >= 0xc0 ? 2 : 1;
        return length > back ? back : 0;
    }
    return 0;
}

void put(std::string_view bytes) {
    while (!bytes.empty()) {
        const ssize_t written = ::write(STDOUT_FILENO, bytes.data(), bytes.size());
        if (written < 0 && errno == EINTR) {
            continue;
        }
        if (written <= 0) {
            return;  // nobody reads any more: the guest goes on, its console is in the file
        }
        bytes.remove_prefix(static_cast<std::size_t>(written));
    }
}

}  // namespace

std::string ConsoleView::convert(std::string_view bytes) {
    if (raw_) {
        return std::string(bytes);
    }
    std::string text = std::move(held_) + std::string(bytes);
    const std::size_t cut = text.size() - unfinished(text);
    held_ = text.substr(cut);
    text.resize(cut);
    const EscapeOptions options{.max_bytes = std::numeric_limits<std::size_t>::max(), .keep_newlines = true};
    std::string result;
    std::string_view rest = text;
    while (!rest.empty()) {
        const std::size_t plain = std::min(rest.find_first_of("\r\b"), rest.size());
        result += escape_for_terminal(rest.substr(0, plain), options);
        if (plain < rest.size()) {
            result += rest[plain];
        }
        rest.remove_prefix(std::min(plain + 1, rest.size()));
    }
    return result;
}

void ConsoleView::show(std::string_view bytes) {
    put(convert(bytes));
}

void ConsoleView::finish() {
    if (!held_.empty()) {
        put(escape_for_terminal(held_));
        held_.clear();
    }
}

}  // namespace pv::cli
