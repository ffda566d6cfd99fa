// Rows of a query: aligned, RFC 4180, or JSON.
// SPDX-License-Identifier: MIT
#include "cli/query_output.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <span>
#include <string_view>
#include <vector>

#include "base/terminal.hpp"

namespace pv::cli {
namespace {

constexpr std::size_t sampled_rows = 500;
constexpr std::size_t max_width = 60;  // a longer text runs over its column

struct Column {
    std::string name;
    bool hexadecimal = false;
    bool text = false;  // seen a text in the sample: aligned to the left
    std::size_t width = 0;
};

std::size_t characters(std::string_view text) {
    return static_cast<std::size_t>(
        std::ranges::count_if(text, [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; }));
}

std::string blob(const store::Statement& row, int column) {
    const auto* bytes = static_cast<const unsigned char*>(sqlite3_column_blob(row.handle(), column));
    std::string text = "x'";
    for (int i = 0; i < sqlite3_column_bytes(row.handle(), column); ++i) {
        text += fmt::format("{:02x}", static_cast<unsigned>(bytes[i]));
    }
    return text + "'";
}

/// A value as text; the texts of the trace as they are.
std::string plain(const store::Statement& row, int column, bool hexadecimal) {
    switch (sqlite3_column_type(row.handle(), column)) {
        case SQLITE_NULL:
            return "";
        case SQLITE_BLOB:
            return blob(row, column);
        case SQLITE_INTEGER:
            return hexadecimal ? fmt::format("{:#x}", row.unsigned_integer(column))
                               : std::to_string(row.integer(column));
        default:
            return std::string(row.text(column));
    }
}

std::vector<Column> columns_of(const store::Statement& statement, const QueryOutput& options) {
    std::vector<Column> columns;
    for (int i = 0; i < statement.columns(); ++i) {
        const char* name = sqlite3_column_name(statement.handle(), i);
        columns.push_back({.name = name == nullptr ? "" : name});
        columns.back().hexadecimal = options.hexadecimal.contains(columns.back().name);
    }
    return columns;
}

class Table {
  public:
    Table(std::vector<Column> columns, std::FILE* out) : columns_(std::move(columns)), out_(out) {
        for (Column& column : columns_) {
            column.name = escape_for_terminal(column.name);
            column.width = characters(column.name);
        }
    }

    void row(const store::Statement& statement) {
        std::vector<std::string> values;
        for (std::size_t i = 0; i < columns_.size(); ++i) {
            const int column = static_cast<int>(i);
            values.push_back(escape_for_terminal(plain(statement, column, columns_[i].hexadecimal)));
            if (!started_) {
                columns_[i].text |= sqlite3_column_type(statement.handle(), column) == SQLITE_TEXT;
                columns_[i].width =
                    std::max(columns_[i].width, std::min(characters(values.back()), max_width));
            }
        }
        if (started_) {
            line(values);
            return;
        }
        sample_.push_back(std::move(values));
        if (sample_.size() == sampled_rows) {
            start();
        }
    }

    void end() {
        if (!started_) {
            start();
        }
    }

  private:
    void start() {
        started_ = true;
        std::vector<std::string> names;
        std::vector<std::string> rules;
        for (const Column& column : columns_) {
            names.push_back(column.name);
            rules.emplace_back(column.width, '-');
        }
        line(names);
        line(rules);
        for (const auto& values : sample_) {
            line(values);
        }
        sample_ = {};
    }

    void line(const std::vector<std::string>& values) {
        std::string text;
        for (std::size_t i = 0; i < values.size(); ++i) {
            const std::size_t width = characters(values[i]);
            const std::string pad(width < columns_[i].width ? columns_[i].width - width : 0, ' ');
            text += i == 0 ? "" : "  ";
            text += columns_[i].text ? values[i] + pad : pad + values[i];
        }
        text.erase(text.find_last_not_of(' ') + 1);
        text += '\n';
        std::fwrite(text.data(), 1, text.size(), out_);
    }

    std::vector<Column> columns_;
    std::vector<std::vector<std::string>> sample_;
    std::FILE* out_;
    bool started_ = false;
};

/// RFC 4180, with "\n" between records.
std::string csv_field(std::string_view text) {
    if (text.find_first_of(",\"\r\n") == std::string_view::npos) {
        return std::string(text);
    }
    std::string quoted = "\"";
    for (const char c : text) {
        quoted += c == '"' ? "\"\"" : std::string(1, c);
    }
    return quoted + "\"";
}

nlohmann::ordered_json json_value(const store::Statement& row, int column, bool hexadecimal) {
    switch (sqlite3_column_type(row.handle(), column)) {
        case SQLITE_NULL:
            return nullptr;
        case SQLITE_INTEGER:
            return hexadecimal ? nlohmann::ordered_json(plain(row, column, true))
                               : nlohmann::ordered_json(row.integer(column));
        case SQLITE_FLOAT:
            return sqlite3_column_double(row.handle(), column);
        default:
            return plain(row, column, false);
    }
}

}  // namespace

Result<> write_rows(store::Statement& statement, const QueryOutput& options, std::FILE* out) {
    std::vector<Column> columns = columns_of(statement, options);
    for (const std::string& name : options.hexadecimal) {
        if (std::ranges::find(columns, name, &Column::name) == columns.end()) {
            return fail(ExitStatus::usage,
                        fmt::format("--hex names {}, which is no column of the result", name),
                        "name columns as the query's result does");
        }
    }
    if (options.format == QueryFormat::json) {
        // An object cannot hold two members of one name.
        for (std::size_t i = 0; i < columns.size(); ++i) {
            for (int suffix = 2;
                 std::ranges::count(std::span(columns).first(i), columns[i].name, &Column::name) > 0;
                 ++suffix) {
                columns[i].name = fmt::format(
                    "{}_{}", sqlite3_column_name(statement.handle(), static_cast<int>(i)), suffix);
            }
        }
        std::fputs("[", out);
    } else if (options.format == QueryFormat::csv) {
        for (std::size_t i = 0; i < columns.size(); ++i) {
            fmt::print(out, "{}{}", i == 0 ? "" : ",", csv_field(columns[i].name));
        }
        std::fputs("\n", out);
    }
    Table table(options.format == QueryFormat::table ? columns : std::vector<Column>(), out);

    std::int64_t rows = 0;
    for (; (options.limit < 0 || rows < options.limit) && PV_TRY(statement.step()); ++rows) {
        if (options.format == QueryFormat::table) {
            table.row(statement);
        } else if (options.format == QueryFormat::json) {
            nlohmann::ordered_json object = nlohmann::ordered_json::object();
            for (std::size_t i = 0; i < columns.size(); ++i) {
                object[columns[i].name] = json_value(statement, static_cast<int>(i), columns[i].hexadecimal);
            }
            const std::string text =
                object.dump(-1, ' ', options.to_terminal, nlohmann::ordered_json::error_handler_t::replace);
            fmt::print(out, "{}\n{}", rows == 0 ? "" : ",", text);
        } else {
            for (std::size_t i = 0; i < columns.size(); ++i) {
                std::string text = plain(statement, static_cast<int>(i), columns[i].hexadecimal);
                if (options.to_terminal) {
                    text = escape_for_terminal(text);
                }
                fmt::print(out, "{}{}", i == 0 ? "" : ",", csv_field(text));
            }
            std::fputs("\n", out);
        }
    }
    if (options.format == QueryFormat::table) {
        table.end();
    } else if (options.format == QueryFormat::json) {
        std::fputs(rows == 0 ? "]\n" : "\n]\n", out);
    }
    return {};
}

}  // namespace pv::cli
