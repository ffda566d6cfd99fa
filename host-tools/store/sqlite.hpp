// SQLite behind values: a connection, a prepared statement, errors as pv::Error.
// SPDX-License-Identifier: MIT
#pragma once

#include <sqlite3.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>

#include "base/error.hpp"

namespace pv::store {

/// A prepared statement. Bind, step until `false`, reset, again. Not thread-safe; must not outlive its
/// Database.
class Statement {
  public:
    Statement() = default;

    /// Takes over what sqlite3_prepare made; nullptr is allowed.
    [[nodiscard]] static Statement adopt(sqlite3_stmt* handle) {
        Statement statement;
        statement.handle_.reset(handle);
        return statement;
    }

    /// Parameters count from 1. Text is copied. An unsigned value is stored as the signed one with the same
    /// bits.
    Statement& bind(int index, std::int64_t value);

    Statement& bind(int index, std::uint64_t value) { return bind(index, static_cast<std::int64_t>(value)); }

    Statement& bind(int index, std::string_view text);
    Statement& bind_null(int index);

    template <class T>
    Statement& bind(int index, const std::optional<T>& value) {
        if (!value) {
            return bind_null(index);
        }
        if constexpr (std::is_same_v<T, std::uint64_t>) {
            return bind(index, *value);
        } else {
            return bind(index, static_cast<std::int64_t>(*value));
        }
    }

    /// true: a row is there; false: done.
    [[nodiscard]] Result<bool> step();
    /// Steps to the end and resets: for statements that return nothing.
    [[nodiscard]] Result<> run();
    void reset();

    /// Columns count from 0 and are valid until the next step. A column of another type reads as 0 or "".
    [[nodiscard]] int columns() const { return sqlite3_column_count(handle_.get()); }

    [[nodiscard]] bool is_null(int column) const;

    [[nodiscard]] std::int64_t integer(int column) const {
        return sqlite3_column_int64(handle_.get(), column);
    }

    [[nodiscard]] std::uint64_t unsigned_integer(int column) const {
        return static_cast<std::uint64_t>(integer(column));
    }

    [[nodiscard]] std::string_view text(int column) const;

    [[nodiscard]] sqlite3_stmt* handle() const { return handle_.get(); }

  private:
    friend class Database;

    struct Close {
        void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
    };

    std::unique_ptr<sqlite3_stmt, Close> handle_;
    int bind_error_ = SQLITE_OK;
};

/// A connection. Movable; statements of it must be gone before it is.
class Database {
  public:
    /// `flags` as sqlite3_open_v2 takes them. The name is always a file's: never a URI, never ":memory:".
    [[nodiscard]] static Result<Database> open(const std::filesystem::path& path, int flags);
    /// A database of one's own in memory.
    [[nodiscard]] static Result<Database> open_memory();
    [[nodiscard]] Result<Statement> prepare(std::string_view sql);
    /// One or more statements without results.
    [[nodiscard]] Result<> execute(const std::string& sql);

    [[nodiscard]] sqlite3* handle() const { return handle_.get(); }

    /// What went wrong on this connection, with `code` (SQLITE_...) as the cause.
    [[nodiscard]] Error error(int code) const;

  private:
    static Result<Database> open_name(const std::string& name, int flags);

    struct Close {
        void operator()(sqlite3* database) const { sqlite3_close_v2(database); }
    };

    std::unique_ptr<sqlite3, Close> handle_;
};

/// An SQLite result code as an Error in words: full disk, corrupt file, locked, not a database, ...
/// `file` is named in the message; `detail` is SQLite's own text.
[[nodiscard]] Error sqlite_error(int code, std::string_view file, std::string_view detail);

}  // namespace pv::store
