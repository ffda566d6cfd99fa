// Lines of the tool's own, in the form QEMU and the plugin write theirs.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace pv::capture {

/// "PID@SECONDS.MICROSECONDS:name fields" with this process's pid and the host clock; no newline.
[[nodiscard]] std::string format_line(std::string_view name, std::string_view fields);

/// `text` as a field: in single quotes, at most 1,000 bytes; a quote, a control character or a byte that is
/// not ASCII is written as \xHH (and so is a backslash).
[[nodiscard]] std::string quote(std::string_view text);

}  // namespace pv::capture
