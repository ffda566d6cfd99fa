// Lines of the plugin's and of the tool's own: "paravane_NAME key value key value".
// SPDX-License-Identifier: MIT
#pragma once

#include <string_view>

#include "capture/parser.hpp"
#include "paravane/trace_event.hpp"

namespace pv::capture {

/// Reads a line whose first word is `name`; keys are `cpu`, `pc` and the kind's arguments of PV_TRACE_EVENTS
/// (a
/// `_text` one also without that ending), in any order; a text stands in quotes as line.hpp's quote() writes
/// it. Markers: "paravane_marker cpu N pc N number N args N...". Keys that are not known are skipped (a newer
/// plugin), a missing one makes the line not understood: false.
[[nodiscard]] bool read_plugin_line(std::string_view name, std::string_view fields, trace::Event& event,
                                    const Parser::Intern& intern);

}  // namespace pv::capture
