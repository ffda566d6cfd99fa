// The kernel's log: one line a call, typed, bounded, to the console and never blocking for ever.
// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "base/format.hpp"

namespace pv::log {

enum class Level : std::uint8_t { debug, info, warning, error };

/// A longer line is cut, and ends in "...".
inline constexpr std::size_t line_max = 512;

/// Lines below this are not written; `loglevel=debug|info|warning|error` on the kernel's command line.
void set_threshold(Level level);
[[nodiscard]] Level threshold();

/// Writes one line. Any context, interrupts included; takes the console for one line at a time. Control
/// characters in `text` become '?': a device's or a disk's string cannot forge a line.
void write_line(Level level, std::string_view text);

void write(Level level, std::string_view format, std::span<const format::Argument> arguments);

template <class... Args>
void debug(format::String<std::type_identity_t<Args>...> format, const Args&... args) {
    write(Level::debug, format.text(),
          std::array<format::Argument, sizeof...(Args)>{format::make_argument(args)...});
}

template <class... Args>
void info(format::String<std::type_identity_t<Args>...> format, const Args&... args) {
    write(Level::info, format.text(),
          std::array<format::Argument, sizeof...(Args)>{format::make_argument(args)...});
}

template <class... Args>
void warning(format::String<std::type_identity_t<Args>...> format, const Args&... args) {
    write(Level::warning, format.text(),
          std::array<format::Argument, sizeof...(Args)>{format::make_argument(args)...});
}

template <class... Args>
void error(format::String<std::type_identity_t<Args>...> format, const Args&... args) {
    write(Level::error, format.text(),
          std::array<format::Argument, sizeof...(Args)>{format::make_argument(args)...});
}

/// Hands every finished line that is not urgent to `mirror` as well, from any context, with any lock held: it
/// neither logs nor wakes anybody, and takes no lock but one of rank `console`. nullptr: no more.
using Mirror = void (*)(std::string_view line);
void set_mirror(Mirror mirror);

/// Where finished lines go. Kernel: device/serial. Hosted: hosted/log.cpp, which keeps them for tests.
/// `line` has no newline. `urgent`: the machine is going down, take the console from whoever holds it.
void console_write(std::string_view line, bool urgent);

}  // namespace pv::log
