// Queries under an authorizer.
// SPDX-License-Identifier: MIT
#include "store/query.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "store/views.hpp"

namespace pv::store {
namespace {

constexpr auto tables = std::to_array<std::pair<const char*, const char*>>({
    {"verdict", "the verdict, once analysed"},
    {"rule_result", "one row a rule"},
    {"finding", "one row a violation"},
    {"finding_event", "which events prove which finding"},
    {"command", "one row a command to a device, as the analysis put it together"},
    {"timeline", "timeouts, aborts, resets and faults"},
    {"device", "the guest's devices"},
    {"symbol", "symbols of the guest's kernel"},
    {"meta", "what is known of the run, by key"},
    {"event", "every event, arguments as a0 to a5: what the views stand on"},
    {"event_kind", "the table of kinds"},
    {"string", "texts that events name by id"},
});

int authorize(void*, int action, const char*, const char* detail, const char*, const char*) {
    switch (action) {
        case SQLITE_SELECT:
        case SQLITE_READ:
        case SQLITE_RECURSIVE:
            return SQLITE_OK;
        case SQLITE_FUNCTION:
            return detail != nullptr && std::string_view(detail) == "load_extension" ? SQLITE_DENY
                                                                                     : SQLITE_OK;
        default:
            return SQLITE_DENY;
    }
}

/// Takes the authorizer off again: the Trace's own statements need more than a query may.
class Authorizer {
  public:
    explicit Authorizer(sqlite3* database) : database_(database) {
        sqlite3_set_authorizer(database_, authorize, nullptr);
    }

    ~Authorizer() { sqlite3_set_authorizer(database_, nullptr, nullptr); }

    Authorizer(const Authorizer&) = delete;
    Authorizer& operator=(const Authorizer&) = delete;

  private:
    sqlite3* database_;
};

/// true: nothing but blanks, semicolons and comments.
bool is_blank(std::string_view sql) {
    while (!sql.empty()) {
        if (sql.starts_with("--")) {
            const std::size_t end = sql.find('\n');
            sql.remove_prefix(end == std::string_view::npos ? sql.size() : end + 1);
        } else if (sql.starts_with("/*")) {
            const std::size_t end = sql.find("*/", 2);
            sql.remove_prefix(end == std::string_view::npos ? sql.size() : end + 2);
        } else if (std::string_view(" \t\r\n;").find(sql.front()) != std::string_view::npos) {
            sql.remove_prefix(1);
        } else {
            return false;
        }
    }
    return true;
}

std::size_t distance(std::string_view a, std::string_view b) {
    std::vector<std::size_t> row(b.size() + 1);
    for (std::size_t j = 0; j <= b.size(); ++j) {
        row[j] = j;
    }
    for (std::size_t i = 1; i <= a.size(); ++i) {
        std::size_t diagonal = std::exchange(row[0], i);
        for (std::size_t j = 1; j <= b.size(); ++j) {
            const std::size_t replaced = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
            diagonal = row[j];
            row[j] = std::min({row[j] + 1, row[j - 1] + 1, replaced});
        }
    }
    return row[b.size()];
}

/// What to try instead, for SQLite's "no such table: NAME".
std::string hint_for(std::string_view message) {
    constexpr std::string_view no_table = "no such table: ";
    const std::size_t at = message.find(no_table);
    if (at == std::string_view::npos) {
        return "`paravane query --views TRACE` lists views and their columns";
    }
    const std::string_view asked = message.substr(at + no_table.size()).substr(0, 64);
    std::vector<std::pair<std::size_t, std::string>> near;
    for (const View& view : views()) {
        near.emplace_back(distance(asked, view.name), view.name);
    }
    for (const auto& [name, description] : tables) {
        near.emplace_back(distance(asked, name), name);
    }
    std::ranges::sort(near);
    return fmt::format("perhaps {}, {} or {}; `paravane query --views TRACE` lists them all", near[0].second,
                       near[1].second, near[2].second);
}

}  // namespace

Result<Statement> prepare_query(Trace& trace, std::string_view sql) {
    if (is_blank(sql)) {
        return fail(ExitStatus::usage, "the query is empty",
                    "for example: 'SELECT region_text, count(*) FROM mmio GROUP BY 1'");
    }
    if (sql.find('\0') != std::string_view::npos || sql.size() > 1'000'000) {
        return fail(ExitStatus::usage, "the query holds a NUL or is too long", "");
    }
    sqlite3* database = trace.database().handle();
    const Authorizer authorizer(database);
    sqlite3_stmt* handle = nullptr;
    const char* rest = nullptr;
    const int code = sqlite3_prepare_v2(database, sql.data(), static_cast<int>(sql.size()), &handle, &rest);
    Statement statement = Statement::adopt(handle);
    if (code == SQLITE_AUTH) {
        return fail(ExitStatus::usage, "a query may only read the trace: SELECT, VALUES or WITH",
                    "to change a copy, open it with sqlite3");
    }
    if (code != SQLITE_OK) {
        const std::string message = sqlite3_errmsg(database);
        return fail(ExitStatus::usage, fmt::format("the query is not understood: {}", message),
                    hint_for(message));
    }
    if (!is_blank(sql.substr(static_cast<std::size_t>(rest - sql.data())))) {
        return fail(ExitStatus::usage, "more than one statement was given", "run them one at a time");
    }
    if (sqlite3_stmt_readonly(handle) == 0) {
        return fail(ExitStatus::usage, "a query may only read the trace: SELECT, VALUES or WITH", "");
    }
    return statement;
}

Result<std::vector<Queryable>> queryables(Trace& trace) {
    std::vector<Queryable> list;
    const auto add = [&](const std::string& name, const std::string& description) -> Result<> {
        Statement statement = PV_TRY(trace.prepare(fmt::format("SELECT * FROM \"{}\" LIMIT 0", name)));
        Queryable item{name, description, {}};
        for (int i = 0; i < statement.columns(); ++i) {
            item.columns.emplace_back(sqlite3_column_name(statement.handle(), i));
        }
        list.push_back(std::move(item));
        return {};
    };
    bool tables_listed = false;
    for (const View& view : views()) {
        if (!tables_listed && view.of_a_kind) {
            tables_listed = true;
            for (const auto& [name, description] : tables) {
                PV_TRY(add(name, description));
            }
        }
        PV_TRY(add(view.name, view.description));
    }
    return list;
}

}  // namespace pv::store
