// A query somebody typed, against a trace that may come from anywhere: read only, one statement, nothing
// else.
// SPDX-License-Identifier: MIT
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"
#include "store/trace.hpp"

namespace pv::store {

/// Prepares `sql` on `trace` (opened with Mode::read). It must be one statement that only reads: SELECT,
/// VALUES, WITH or EXPLAIN; no PRAGMA, no ATTACH, no extension. Errors say what is wrong and which views
/// there are.
[[nodiscard]] Result<Statement> prepare_query(Trace& trace, std::string_view sql);

/// A view or table that queries may use.
struct Queryable {
    std::string name;
    std::string description;
    std::vector<std::string> columns;
};

/// The joined views, the result tables, then one view a kind of event.
[[nodiscard]] Result<std::vector<Queryable>> queryables(Trace& trace);

}  // namespace pv::store
