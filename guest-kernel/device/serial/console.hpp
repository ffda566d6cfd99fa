// The kernel's console: the first serial port (COM1, I/O ports 0x3f8 to 0x3ff).
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace pv::device::serial {

/// Sets the port up. Once, before the first line.
void start_console();

/// The next character somebody typed, nullopt when there is none. Any context; never waits.
[[nodiscard]] std::optional<char> read_console();

/// Writes what the port takes of `text`, as it is, among whole lines of the log; returns how much. Any
/// context.
[[nodiscard]] std::size_t write_console(std::string_view text);

/// Characters the port did not take in time, since boot.
[[nodiscard]] std::uint64_t dropped_characters();

}  // namespace pv::device::serial
