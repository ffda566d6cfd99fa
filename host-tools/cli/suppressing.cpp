// The option, and the warnings.
// SPDX-License-Identifier: MIT
#include "cli/suppressing.hpp"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>

#include "base/terminal.hpp"
#include "store/trace.hpp"

namespace pv::cli {

void add_suppress_option(CLI::App& app, std::string& file) {
    app.add_option(
           "--suppress", file,
           "Findings that are known and shall not count (docs/suppressions.md); they are listed apart")
        ->type_name("FILE");
}

Result<std::optional<checks::SuppressionFile>> known_findings(const std::string& file) {
    if (file.empty()) {
        return std::nullopt;
    }
    return PV_TRY(checks::SuppressionFile::read(file));
}

void say_what_suppressed_nothing(store::Trace& trace) {
    const auto text = trace.meta(std::string(store::suppressions_key));
    if (!text.has_value() || !text->has_value() || (*text)->empty()) {
        return;
    }
    if (const auto suppressions = store::parse_suppressions(**text); suppressions.has_value()) {
        for (const std::string& line : checks::complaints(*suppressions)) {
            fmt::print(stderr, "paravane: warning: {}\n", escape_for_terminal(line));
        }
    }
}

}  // namespace pv::cli
