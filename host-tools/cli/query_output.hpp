// Rows of a query as a table for people, or as CSV or JSON for programs.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <cstdio>
#include <set>
#include <string>

#include "base/error.hpp"
#include "store/sqlite.hpp"

namespace pv::cli {

enum class QueryFormat : std::uint8_t { table, csv, json };

struct QueryOutput {
    QueryFormat format = QueryFormat::table;
    std::int64_t limit = -1;            ///< rows at most; negative: all
    std::set<std::string> hexadecimal;  ///< columns shown as unsigned hexadecimal
    bool to_terminal = false;           ///< texts of CSV are escaped too
};

/// Steps `statement` to its end and writes each row to `out` as it comes: memory does not grow with the
/// result (a table looks at the first rows to choose its widths). Texts in a table are always made safe for a
/// terminal.
[[nodiscard]] Result<> write_rows(store::Statement& statement, const QueryOutput& options, std::FILE* out);

}  // namespace pv::cli
