// An event of the trace in words: its kind, and its arguments by name.
// SPDX-License-Identifier: MIT
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "base/error.hpp"
#include "paravane/trace_event.hpp"
#include "store/trace.hpp"

namespace pv::report {

/// The name of `kind`, "kind 4711" for one this version does not know.
std::string kind_text(trace::Kind kind);

/// The event's arguments as (name, value), safe to show: addresses and register values in hexadecimal, sizes
/// and counts in decimal, devices by name, interned text (without the `_text` of its name) quoted and
/// escaped.
Result<std::vector<std::pair<std::string, std::string>>> arguments(store::Trace& trace,
                                                                   const std::vector<store::Device>& devices,
                                                                   const trace::Event& event);

/// The same as one line: "device disk0 mapping 12 bus 0x1f3000".
Result<std::string> arguments_text(store::Trace& trace, const std::vector<store::Device>& devices,
                                   const trace::Event& event);

}  // namespace pv::report
