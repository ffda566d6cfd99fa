// --suppress of the commands that judge: which findings are known, and which entries did nothing.
// SPDX-License-Identifier: MIT
#pragma once

#include <optional>
#include <string>

#include "base/error.hpp"
#include "checks/suppress.hpp"

namespace CLI {
class App;
}  // namespace CLI

namespace pv::store {
class Trace;
}  // namespace pv::store

namespace pv::cli {

void add_suppress_option(CLI::App& app, std::string& file);

/// What `file` says; nothing for "".
[[nodiscard]] Result<std::optional<checks::SuppressionFile>> known_findings(const std::string& file);

/// Warns on standard error of each entry that expired or fitted nothing when `trace` was judged.
void say_what_suppressed_nothing(store::Trace& trace);

}  // namespace pv::cli
