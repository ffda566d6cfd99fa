// What to ask QEMU for, so that the log holds what the rules need and little else. The one place that says
// it.
// SPDX-License-Identifier: MIT
#pragma once

#include <string>
#include <vector>

namespace pv::capture {

/// Arguments of `-d`: the plugin's lines, what devices say about their driver's misuse, accesses no device
/// claims.
inline constexpr const char* qemu_log_items = "plugin,guest_errors,invalid_mem";

/// Arguments of `-trace`, one option each: every event of PV_TRACE_EVENTS that QEMU has, by name; the
/// families that end in `_` as `name_*`. An event an older QEMU lacks costs a warning on its stderr and
/// nothing else.
[[nodiscard]] std::vector<std::string> qemu_trace_patterns();

}  // namespace pv::capture
