// Magic, version and shape of a trace file: made by the writer, proven by the reader.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>

#include "base/error.hpp"
#include "store/sqlite.hpp"

namespace pv::store {

/// SQLite's application id of a trace: "PVTR".
inline constexpr std::int32_t application_id = 0x50565452;

/// meta's key that says the writer finished.
inline constexpr std::string_view meta_whole = "whole";

/// Makes the tables, the table of kinds, the views and the version in an empty database.
[[nodiscard]] Result<> create_schema(Database& database);

/// Builds the indexes: last, because keeping them up to date while loading costs more than the load.
[[nodiscard]] Result<> create_indexes(Database& database);

/// Switches off what a file from elsewhere could do: triggers, its views, functions with effects, schema
/// writes. Before anything else is read from it.
[[nodiscard]] Result<> distrust(Database& database);

/// Refuses what is not a trace of this major version with the documented tables. The schema's minor version.
[[nodiscard]] Result<int> verify_schema(Database& database);

/// Defines the documented views for this connection only, in front of whatever the file holds.
[[nodiscard]] Result<> create_temporary_views(Database& database);

}  // namespace pv::store
