// The data the page of an HTML report carries.
// SPDX-License-Identifier: MIT
#pragma once

#include <string>

#include "base/error.hpp"
#include "store/trace.hpp"

namespace pv::report {

/// JSON for the page's data element: safe inside a <script> element whatever the trace holds, all text in it
/// escaped as pv::escape_for_terminal does. Bounded: TimelineLimits, 200 findings with their events, 64 KiB
/// of console. `trace_path` is shown. Errors: the trace has no verdict, or cannot be read.
Result<std::string> page_data(store::Trace& trace, const std::string& trace_path);

}  // namespace pv::report
