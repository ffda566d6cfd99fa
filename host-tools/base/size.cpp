// Sizes in bytes, read and written.
// SPDX-License-Identifier: MIT
#include "base/size.hpp"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <system_error>

namespace pv {

Result<std::uint64_t> parse_size(std::string_view text) {
    const auto refuse = [&](std::string_view why) {
        return fail(ExitStatus::usage, fmt::format("'{}' is not a size: {}", text, why),
                    "a size is a whole number of bytes, or of k, M, G or T: 64M");
    };
    std::uint64_t number = 0;
    const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (problem == std::errc::result_out_of_range) {
        return refuse("it is too large");
    }
    if (problem != std::errc()) {
        return refuse("it does not begin with a digit");
    }
    std::string_view unit = text.substr(static_cast<std::size_t>(end - text.data()));
    unsigned shift = 0;
    if (!unit.empty()) {
        static constexpr std::string_view letters = "kmgt";
        const char letter = static_cast<char>(unit.front() | 0x20);
        if (const std::size_t power = letters.find(letter); power != std::string_view::npos) {
            shift = static_cast<unsigned>(power + 1) * 10;
            unit.remove_prefix(1);
        }
        if (!(unit.empty() || unit == "B" || (unit == "iB" && shift != 0))) {
            return refuse(fmt::format("unknown unit '{}'", unit));
        }
    }
    if (number > (std::uint64_t{INT64_MAX} >> shift)) {
        return refuse("it is too large");
    }
    return number << shift;
}

std::string format_size(std::uint64_t bytes) {
    static constexpr std::array names = {"bytes", "KiB", "MiB", "GiB", "TiB"};
    std::size_t unit = 0;
    while (bytes != 0 && bytes % 1024 == 0 && unit + 1 < names.size()) {
        bytes /= 1024;
        ++unit;
    }
    return fmt::format("{} {}", bytes, names[unit]);
}

}  // namespace pv
