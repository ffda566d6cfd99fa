// The kernel's command line.
// SPDX-License-Identifier: MIT
#include "boot/options.hpp"

#include <charconv>
#include <utility>

namespace pv::boot {
namespace {

constinit CommandLine boot_command_line;

constexpr bool is_blank(char c) {
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

// The number at the front of `text`, and what follows it.
Result<std::pair<std::uint64_t, std::string_view>> leading_number(std::string_view text) {
    const bool hexadecimal = text.starts_with("0x");
    const std::string_view digits = hexadecimal ? text.substr(2) : text;
    std::uint64_t value = 0;
    const auto [end, error] =
        std::from_chars(digits.data(), digits.data() + digits.size(), value, hexadecimal ? 16 : 10);
    if (error != std::errc{}) {
        return fail(Error::invalid_argument);
    }
    return std::pair(value, digits.substr(static_cast<std::size_t>(end - digits.data())));
}

}  // namespace

std::optional<std::string_view> CommandLine::option(std::string_view name) const {
    std::optional<std::string_view> found;
    std::size_t i = 0;
    while (i < text_.size()) {
        while (i < text_.size() && is_blank(text_[i])) {
            ++i;
        }
        const std::size_t start = i;
        while (i < text_.size() && !is_blank(text_[i])) {
            ++i;
        }
        const std::string_view word = text_.substr(start, i - start);
        if (word == name) {
            found = std::string_view{};
        } else if (word.size() > name.size() && word.starts_with(name) && word[name.size()] == '=') {
            found = word.substr(name.size() + 1);
        }
    }
    return found;
}

CommandLine command_line() {
    return boot_command_line;
}

void set_command_line(std::string_view text) {
    boot_command_line = CommandLine(text);
}

std::optional<std::string_view> option(std::string_view name) {
    return boot_command_line.option(name);
}

std::optional<std::string_view> item(std::string_view list, std::string_view key) {
    std::optional<std::string_view> found;
    for_each_item(list, [&](std::string_view name, std::string_view value) {
        if (name == key) {
            found = value;
        }
    });
    return found;
}

Result<std::uint64_t> parse_number(std::string_view text) {
    const auto [value, rest] = PV_TRY(leading_number(text));
    if (!rest.empty()) {
        return fail(Error::invalid_argument);
    }
    return value;
}

Result<std::uint64_t> parse_size(std::string_view text) {
    const auto [value, rest] = PV_TRY(leading_number(text));
    unsigned shift = 0;
    if (rest == "k" || rest == "K") {
        shift = 10;
    } else if (rest == "M") {
        shift = 20;
    } else if (rest == "G") {
        shift = 30;
    } else if (rest == "T") {
        shift = 40;
    } else if (!rest.empty()) {
        return fail(Error::invalid_argument);
    }
    if (value << shift >> shift != value) {
        return fail(Error::invalid_argument);
    }
    return value << shift;
}

Result<Duration> parse_duration(std::string_view text) {
    const auto [value, unit] = PV_TRY(leading_number(text));
    if (unit == "ns") {
        return Duration::nanoseconds(value);
    }
    if (unit == "us") {
        return Duration::microseconds(value);
    }
    if (unit == "ms") {
        return Duration::milliseconds(value);
    }
    if (unit == "s") {
        return Duration::seconds(value);
    }
    if (unit == "min") {
        return Duration::seconds(60) * value;
    }
    return fail(Error::invalid_argument);
}

}  // namespace pv::boot
