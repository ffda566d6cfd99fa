// SQLite behind values.
// SPDX-License-Identifier: MIT
#include "store/sqlite.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

namespace pv::store {

Error sqlite_error(int code, std::string_view file, std::string_view detail) {
    switch (code & 0xff) {
        case SQLITE_FULL:
            return {ExitStatus::incomplete, fmt::format("cannot write {}: the disk is full", file),
                    "free some space, or write the trace to another disk with --output"};
        case SQLITE_IOERR:
            return {ExitStatus::incomplete, fmt::format("cannot read or write {}: {}", file, detail),
                    "the disk may be full or failing: see dmesg and df"};
        case SQLITE_CORRUPT:
            return {ExitStatus::usage, fmt::format("{} is damaged: {}", file, detail),
                    "record the trace again; `sqlite3 FILE .recover` may save parts of it"};
        case SQLITE_NOTADB:
            return {ExitStatus::usage, fmt::format("{} is not a trace", file),
                    "give a file that `paravane record` or `paravane check --output` wrote"};
        case SQLITE_CANTOPEN:
            return {ExitStatus::usage, fmt::format("cannot open {}: {}", file, detail),
                    "check that the file exists and may be read, and its folder written"};
        case SQLITE_BUSY:
        case SQLITE_LOCKED:
            return {ExitStatus::usage, fmt::format("{} is in use by another program", file),
                    "wait until its recording or analysis has ended"};
        case SQLITE_READONLY:
        case SQLITE_PERM:
            return {ExitStatus::usage, fmt::format("{} may not be written", file),
                    "copy it to a folder of your own first"};
        case SQLITE_INTERRUPT:
            return {ExitStatus::interrupted, "interrupted", ""};
        case SQLITE_NOMEM:
            return {ExitStatus::incomplete, fmt::format("no memory left while using {}", file), ""};
        default:
            return {ExitStatus::usage, fmt::format("{}: {}", file, detail), ""};
    }
}

Statement& Statement::bind(int index, std::int64_t value) {
    if (const int code = sqlite3_bind_int64(handle_.get(), index, value); code != SQLITE_OK) {
        bind_error_ = code;
    }
    return *this;
}

Statement& Statement::bind(int index, std::string_view text) {
    const char* data = text.data() == nullptr ? "" : text.data();
    if (const int code =
            sqlite3_bind_text64(handle_.get(), index, data, text.size(), SQLITE_TRANSIENT, SQLITE_UTF8);
        code != SQLITE_OK) {
        bind_error_ = code;
    }
    return *this;
}

Statement& Statement::bind_null(int index) {
    if (const int code = sqlite3_bind_null(handle_.get(), index); code != SQLITE_OK) {
        bind_error_ = code;
    }
    return *this;
}

Result<bool> Statement::step() {
    sqlite3* database = sqlite3_db_handle(handle_.get());
    const int code = bind_error_ != SQLITE_OK ? bind_error_ : sqlite3_step(handle_.get());
    bind_error_ = SQLITE_OK;
    if (code == SQLITE_ROW) {
        return true;
    }
    if (code == SQLITE_DONE) {
        return false;
    }
    const char* file = sqlite3_db_filename(database, "main");
    Error error = sqlite_error(code, file == nullptr ? "the database" : file, sqlite3_errmsg(database));
    reset();
    return std::unexpected(std::move(error));
}

Result<> Statement::run() {
    while (PV_TRY(step())) {
    }
    reset();
    return {};
}

void Statement::reset() {
    sqlite3_reset(handle_.get());
}

bool Statement::is_null(int column) const {
    return sqlite3_column_type(handle_.get(), column) == SQLITE_NULL;
}

std::string_view Statement::text(int column) const {
    const unsigned char* data = sqlite3_column_text(handle_.get(), column);
    if (data == nullptr) {
        return {};
    }
    return {reinterpret_cast<const char*>(data),  // NOLINT: SQLite's text is unsigned char
            static_cast<std::size_t>(sqlite3_column_bytes(handle_.get(), column))};
}

Result<Database> Database::open(const std::filesystem::path& path, int flags) {
    // A relative name gets "./": ":memory:" and "" are files' names here, not SQLite's special ones.
    return open_name(path.is_absolute() ? path.string() : "./" + path.string(), flags);
}

Result<Database> Database::open_memory() {
    return open_name(":memory:", SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE);
}

namespace {

// The system's own word for it. SQLite tries a file it may not make once more for reading, and remembers the
// second failure only.
std::string why_not_opened(const std::string& name, int flags, const char* otherwise) {
    const std::filesystem::path folder = std::filesystem::absolute(name).parent_path();
    const bool made = (flags & SQLITE_OPEN_CREATE) != 0 && ::access(name.c_str(), F_OK) != 0;
    const bool writes = (flags & SQLITE_OPEN_READWRITE) != 0;
    const int refused =
        made ? ::access(folder.c_str(), W_OK | X_OK) : ::access(name.c_str(), writes ? R_OK | W_OK : R_OK);
    return refused != 0 ? std::strerror(errno) : otherwise;
}

}  // namespace

Result<Database> Database::open_name(const std::string& name, int flags) {
    Database database;
    sqlite3* handle = nullptr;
    const int code =
        sqlite3_open_v2(name.c_str(), &handle, flags | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, nullptr);
    database.handle_.reset(handle);
    if (code != SQLITE_OK) {
        return std::unexpected(sqlite_error(
            code, name,
            handle == nullptr ? "no memory" : why_not_opened(name, flags, sqlite3_errmsg(handle))));
    }
    return database;
}

Result<Statement> Database::prepare(std::string_view sql) {
    Statement statement;
    sqlite3_stmt* handle = nullptr;
    const int code =
        sqlite3_prepare_v2(handle_.get(), sql.data(), static_cast<int>(sql.size()), &handle, nullptr);
    statement.handle_.reset(handle);
    if (code != SQLITE_OK) {
        return std::unexpected(error(code));
    }
    return statement;
}

Result<> Database::execute(const std::string& sql) {
    const int code = sqlite3_exec(handle_.get(), sql.c_str(), nullptr, nullptr, nullptr);
    if (code != SQLITE_OK) {
        return std::unexpected(error(code));
    }
    return {};
}

Error Database::error(int code) const {
    const char* file = sqlite3_db_filename(handle_.get(), "main");
    return sqlite_error(code, file == nullptr ? "the database" : file, sqlite3_errmsg(handle_.get()));
}

}  // namespace pv::store
