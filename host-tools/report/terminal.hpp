// The report for a person at a terminal: verdict, rules, findings, and a time line when something went wrong.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <string>

#include "base/error.hpp"

namespace pv::store {
class Trace;
}

namespace pv::report {

struct TerminalOptions {
    bool color = false;           ///< ANSI colours: see wants_color
    std::size_t width = 100;      ///< columns to wrap at, 40 to 200; other values are moved into that range
    std::size_t findings = 20;    ///< how many findings are printed in full; the rest are counted
    bool verdict_only = false;    ///< --quiet: the verdict's lines and nothing else
    std::string trace_path = {};  ///< named in hints ("paravane query TRACE"); empty: no such hint
};

/// The report of a judged trace, ending in a newline, no control characters but line feeds and, with
/// `color`, SGR sequences. Reads the trace's results only; memory grows with the findings printed, not with
/// the trace. Errors: the trace has no verdict (it was recorded, never judged), or cannot be read.
Result<std::string> terminal(store::Trace& trace, const TerminalOptions& options);

/// Whether `descriptor` shows colours: a terminal, NO_COLOR (no-color.org) unset or empty, TERM not "dumb".
bool wants_color(int descriptor);

/// Width of the terminal behind `descriptor`; 100 when it is none.
std::size_t terminal_width(int descriptor);

}  // namespace pv::report
