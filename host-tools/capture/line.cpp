// Lines of the tool's own.
// SPDX-License-Identifier: MIT
#include "capture/line.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <chrono>

namespace pv::capture {

std::string format_line(std::string_view name, std::string_view fields) {
    const auto now = std::chrono::duration_cast<std::chrono::microseconds>(
                         std::chrono::system_clock::now().time_since_epoch())
                         .count();
    return fmt::format("{}@{}.{:06}:{}{}{}", ::getpid(), now / 1'000'000, now % 1'000'000, name,
                       fields.empty() ? "" : " ", fields);
}

std::string quote(std::string_view text) {
    static constexpr std::size_t limit = 1'000;
    std::string quoted = "'";
    for (const char c : text.substr(0, limit)) {
        const auto byte = static_cast<unsigned char>(c);
        if (byte >= 0x20 && byte < 0x7f && c != '\'' && c != '\\') {
            quoted += c;
        } else {
            quoted += fmt::format("\\x{:02x}", static_cast<unsigned>(byte));
        }
    }
    return quoted + '\'';
}

}  // namespace pv::capture
