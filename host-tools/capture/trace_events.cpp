// The list of QEMU's events is the table of kinds, without the lines that are not trace events.
// SPDX-License-Identifier: MIT
#include "capture/trace_events.hpp"

#include "paravane/trace_event.hpp"

namespace pv::capture {

std::vector<std::string> qemu_trace_patterns() {
    std::vector<std::string> patterns;
    for (const trace::KindInfo& info : trace::kinds) {
        const std::string_view name = info.log_name;
        if (name.empty() || name == "guest_error" || name.starts_with("paravane_")) {
            continue;
        }
        patterns.emplace_back(name);
        if (name.ends_with('_')) {
            patterns.back() += '*';
        }
    }
    return patterns;
}

}  // namespace pv::capture
