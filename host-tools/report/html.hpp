// The report as one HTML file that needs nothing else: time line, findings, latencies, rules, console.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <filesystem>
#include <string>

#include "base/error.hpp"

namespace pv::store {
class Trace;
}

namespace pv::report {

struct HtmlOptions {
    std::filesystem::path page = {};  ///< the built page, lib/paravane/report/page.html
    std::string trace_path = {};      ///< shown on the page
    bool force = false;               ///< replace whatever file stands at the path
};

/// Writes the report of a judged trace to `path`: whole or not at all (a temporary file beside it is
/// renamed). An existing file is replaced when it is such a report or empty, so that a slip of the hand does
/// not cost a trace or a disk image; any file with `force`. What is no regular file (a FIFO, /dev/stdout) is
/// written to. One pass over the events; memory and the file's size are bounded whatever the trace's length:
/// beyond the bounds the page says what it shows of how much. Errors: no verdict in the trace, the page is
/// not where it should be, `path` cannot be written.
Result<> html(store::Trace& trace, const std::filesystem::path& path, const HtmlOptions& options);

}  // namespace pv::report
