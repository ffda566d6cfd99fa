// Magic, version and shape of a trace file.
// SPDX-License-Identifier: MIT
#include "store/schema.hpp"

#include <fmt/format.h>

#include <map>

#include "paravane/trace_event.hpp"
#include "store/schema_sql.hpp"
#include "store/views.hpp"

namespace pv::store {
namespace {

constexpr const char* not_a_trace_hint =
    "give a file that `paravane record` or `paravane check --output` wrote";

std::string file_of(const Database& database) {
    const char* file = sqlite3_db_filename(database.handle(), "main");
    return file == nullptr ? "the database" : file;
}

Result<std::int64_t> pragma(Database& database, const char* name) {
    Statement statement = PV_TRY(database.prepare(fmt::format("PRAGMA main.{}", name)));
    return PV_TRY(statement.step()) ? statement.integer(0) : 0;
}

Result<> fill_kinds(Database& database) {
    Statement insert = PV_TRY(database.prepare("INSERT INTO event_kind VALUES (?,?,?,?,?,?,?,?,?)"));
    for (const trace::KindInfo& info : trace::kinds) {
        insert.bind(1, static_cast<std::int64_t>(info.kind)).bind(2, info.name).bind(3, info.log_name);
        for (std::size_t i = 0; i < info.args.size(); ++i) {
            const int parameter = static_cast<int>(i) + 4;
            if (info.args[i] == "_") {
                insert.bind_null(parameter);
            } else {
                insert.bind(parameter, info.args[i]);
            }
        }
        PV_TRY(insert.run());
    }
    return {};
}

/// The tables of `database` and the SQL that made them.
Result<std::map<std::string, std::string>> tables_of(Database& database) {
    std::map<std::string, std::string> tables;
    Statement statement = PV_TRY(database.prepare(
        "SELECT type, name, rootpage, sql FROM main.sqlite_schema WHERE type IN ('table', 'trigger')"));
    while (PV_TRY(statement.step())) {
        if (statement.text(0) == "trigger" || statement.integer(2) <= 0) {
            return fail(
                ExitStatus::usage,
                fmt::format("{} holds a trigger or a virtual table: it is not a trace, or was tampered with",
                            file_of(database)),
                not_a_trace_hint);
        }
        tables.emplace(statement.text(1), statement.text(3));
        if (tables.size() > 1'000) {
            return fail(ExitStatus::usage, fmt::format("{} is not a trace", file_of(database)),
                        not_a_trace_hint);
        }
    }
    return tables;
}

/// "name type" of each column, in order; a generated one (its expression would be the file's) is marked.
Result<std::string> columns_of(Database& database, std::string_view table) {
    std::string columns;
    Statement statement =
        PV_TRY(database.prepare("SELECT name, type, pk, hidden FROM pragma_table_xinfo(?, 'main')"));
    statement.bind(1, table);
    while (PV_TRY(statement.step())) {
        columns += fmt::format("{} {} {} {}\n", statement.text(0), statement.text(1), statement.integer(2),
                               statement.integer(3));
    }
    return columns;
}

}  // namespace

Result<> create_schema(Database& database) {
    PV_TRY(database.execute("BEGIN"));
    PV_TRY(database.execute(fmt::format("PRAGMA application_id = {}; PRAGMA user_version = {};",
                                        application_id, trace::schema_major << 16 | trace::schema_minor)));
    PV_TRY(database.execute(schema_sql));
    PV_TRY(fill_kinds(database));
    for (const View& view : views()) {
        // In the file a view may not name a schema; what it names is its own file's anyway.
        std::string select = view.select;
        for (std::size_t at = select.find("main."); at != std::string::npos; at = select.find("main.", at)) {
            select.erase(at, 5);
        }
        PV_TRY(database.execute(fmt::format("CREATE VIEW \"{}\" AS {}", view.name, select)));
    }
    PV_TRY(
        database.execute(fmt::format("INSERT INTO meta VALUES ('schema_major', '{}'), ('schema_minor', '{}')",
                                     trace::schema_major, trace::schema_minor)));
    return database.execute("COMMIT");
}

Result<> create_indexes(Database& database) {
    return database.execute("CREATE INDEX IF NOT EXISTS event_by_kind ON event (kind)");
}

Result<> distrust(Database& database) {
    sqlite3* handle = database.handle();
    const auto set = [handle](int option, int value) {
        return sqlite3_db_config(handle, option, value, static_cast<int*>(nullptr)) == SQLITE_OK;
    };
    // ENABLE_VIEW 0 leaves TEMP views on (SQLite 3.35 and newer): those are ours.
    if (!set(SQLITE_DBCONFIG_DEFENSIVE, 1) || !set(SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0) ||
        !set(SQLITE_DBCONFIG_ENABLE_TRIGGER, 0) || !set(SQLITE_DBCONFIG_ENABLE_VIEW, 0) ||
        !set(SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 0)) {
        return fail(ExitStatus::unavailable, "this SQLite is too old to open files that are not trusted",
                    "install SQLite 3.35 or newer");
    }
    sqlite3_limit(handle, SQLITE_LIMIT_LENGTH, 64 << 20);
    sqlite3_limit(handle, SQLITE_LIMIT_ATTACHED, 0);
    sqlite3_busy_timeout(handle, 5'000);
    return database.execute("PRAGMA cell_size_check = ON; PRAGMA mmap_size = 0;");
}

Result<int> verify_schema(Database& database) {
    if (PV_TRY(pragma(database, "application_id")) != application_id) {
        return fail(ExitStatus::usage, fmt::format("{} is a database, but not a trace", file_of(database)),
                    not_a_trace_hint);
    }
    const std::int64_t version = PV_TRY(pragma(database, "user_version"));
    const std::int64_t major = version >> 16;
    const int minor = static_cast<int>(version & 0xffff);
    if (major != trace::schema_major) {
        return fail(ExitStatus::usage,
                    fmt::format("{} is a trace of version {}.{}; this program reads version {}",
                                file_of(database), major, minor, trace::schema_major),
                    major > trace::schema_major ? "use the newer paravane that wrote it"
                                                : "record it again, or use the paravane that wrote it");
    }

    Database reference = PV_TRY(Database::open_memory());
    PV_TRY(reference.execute(schema_sql));
    const auto expected = PV_TRY(tables_of(reference));
    const auto found = PV_TRY(tables_of(database));
    for (const auto& [name, sql] : expected) {
        const auto table = found.find(name);
        bool same = table != found.end();
        if (same && minor <= trace::schema_minor) {
            same = table->second == sql;
        } else if (same) {
            same = PV_TRY(columns_of(database, name)).starts_with(PV_TRY(columns_of(reference, name)));
        }
        if (!same) {
            return fail(ExitStatus::usage,
                        fmt::format("{} says it is a trace of version {}.{}, but its table {} is {}",
                                    file_of(database), major, minor, name,
                                    table == found.end() ? "missing" : "another one"),
                        not_a_trace_hint);
        }
    }
    return minor;
}

Result<> create_temporary_views(Database& database) {
    std::string sql;
    for (const View& view : views()) {
        sql += fmt::format("CREATE TEMP VIEW \"{}\" AS {};\n", view.name, view.select);
    }
    return database.execute(sql);
}

}  // namespace pv::store
