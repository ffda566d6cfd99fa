// Numbers of a trace as people read them.
// SPDX-License-Identifier: MIT
#include "report/format.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/terminal.hpp"

namespace pv::report {

std::string count_text(std::uint64_t value) {
    const std::string digits = fmt::to_string(value);
    std::string result;
    for (std::size_t i = 0; i < digits.size(); ++i) {
        if (i > 0 && (digits.size() - i) % 3 == 0) {
            result += ',';
        }
        result += digits[i];
    }
    return result;
}

std::string plural_text(std::uint64_t value, std::string_view unit) {
    return fmt::format("{} {}{}", count_text(value), unit, value == 1 ? "" : "s");
}

std::string duration_text(std::int64_t microseconds) {
    const double value = static_cast<double>(microseconds);
    const double size = std::abs(value);
    if (size < 1e3) {
        return fmt::format("{} µs", microseconds);
    }
    const bool seconds = size >= 1e6;
    const double scaled = value / (seconds ? 1e6 : 1e3);
    const int digits = std::abs(scaled) < 10 ? 2 : std::abs(scaled) < 100 ? 1 : 0;
    return fmt::format("{:.{}f} {}", scaled, digits, seconds ? "s" : "ms");
}

std::string moment_text(std::int64_t microseconds) {
    const bool negative = microseconds < 0;
    const std::uint64_t size =
        negative ? 0 - static_cast<std::uint64_t>(microseconds) : static_cast<std::uint64_t>(microseconds);
    return fmt::format("{}{}.{:06} s", negative ? "-" : "", size / 1'000'000, size % 1'000'000);
}

std::string bdf_text(std::uint32_t bdf) {
    return fmt::format("{:04x}:{:02x}:{:02x}.{}", bdf >> 16U, (bdf >> 8U) & 0xffU, (bdf >> 3U) & 0x1fU,
                       bdf & 7U);
}

std::string hex_text(std::uint64_t value) {
    return fmt::format("{:#x}", value);
}

std::string device_text(const std::vector<store::Device>& devices, std::uint32_t bdf) {
    const auto found =
        std::ranges::find_if(devices, [&](const store::Device& device) { return device.bdf == bdf; });
    return found == devices.end() || found->name.empty()
               ? bdf_text(bdf)
               : escape_for_terminal(found->name, {.max_bytes = 40});
}

std::string title_text(const store::Finding& finding) {
    const std::string title = escape_for_terminal(finding.title);
    return title.starts_with(finding.rule + ":")
               ? title
               : fmt::format("{}: {}", escape_for_terminal(finding.rule), title);
}

}  // namespace pv::report
