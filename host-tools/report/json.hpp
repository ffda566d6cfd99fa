// The report for programs: what `check`, `analyze` and `report` print with --json. Form: docs/json.md.
// SPDX-License-Identifier: MIT
#pragma once

#include <string>

#include "base/error.hpp"

namespace pv::store {
class Trace;
}

namespace pv::report {

/// Version of the JSON form: another major number may change or remove fields, a minor one only adds some.
inline constexpr int json_major = 1;
inline constexpr int json_minor = 2;

/// One JSON object in ASCII, two spaces of indentation, ending in a newline; docs/json.md and the schema
/// abi/report/result.schema.json say what it holds. Text from the guest is carried as it was, JSON-escaped;
/// bytes that are not UTF-8 become U+FFFD. `trace_path` is repeated in the object.
/// Errors: the trace has no verdict, or cannot be read.
Result<std::string> json(store::Trace& trace, const std::string& trace_path);

}  // namespace pv::report
