// Tables of TOML files that people write, read strictly, with errors that name file, line and column.
// SPDX-License-Identifier: MIT
#pragma once

// As every file that reads TOML has it: header only, errors as values.
#ifndef TOML_HEADER_ONLY
#define TOML_EXCEPTIONS 0
#define TOML_ENABLE_FORMATTERS 0
#define TOML_HEADER_ONLY 1
#endif

#include <fmt/format.h>
#include <toml++/toml.h>

#include <algorithm>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.hpp"
#include "base/terminal.hpp"

namespace pv {

/// Reads one table: each key is asked for once, and what nobody asked for is an error. Table and file outlive
/// it.
class TomlTable {
  public:
    TomlTable(const toml::table& table, std::string_view file) : table_(table), file_(file) {}

    [[nodiscard]] std::unexpected<Error> wrong(const toml::node& node, const std::string& what,
                                               std::string_view hint) const {
        return wrong_at(node.source().begin, what, hint);
    }

    [[nodiscard]] std::unexpected<Error> wrong(const std::string& what, std::string_view hint) const {
        return wrong_at(table_.source().begin, what, hint);
    }

    template <class T>
    Result<std::optional<T>> get(std::string_view key, std::string_view hint) {
        asked_.push_back(key);
        const toml::node* node = table_.get(key);
        if (node == nullptr) {
            return std::nullopt;
        }
        const std::optional<T> value = node->value_exact<T>();
        if (!value) {
            return wrong(*node, fmt::format("'{}' has a value of the wrong kind", key), hint);
        }
        return value;
    }

    Result<std::vector<std::string>> texts(std::string_view key, std::string_view hint) {
        asked_.push_back(key);
        std::vector<std::string> values;
        const toml::node* node = table_.get(key);
        if (node == nullptr) {
            return values;
        }
        if (!node->is_array()) {
            return wrong(*node, fmt::format("'{}' is no list", key), hint);
        }
        for (const toml::node& entry : *node->as_array()) {
            const std::optional<std::string> value = entry.value_exact<std::string>();
            if (!value) {
                return wrong(entry, fmt::format("'{}' has an entry that is no text", key), hint);
            }
            values.push_back(*value);
        }
        return values;
    }

    [[nodiscard]] bool has(std::string_view key) const { return table_.contains(key); }

    [[nodiscard]] const toml::node& node(std::string_view key) const { return *table_.get(key); }

    /// Nothing stands here that was not asked for, or is among `others`.
    Result<> done(std::initializer_list<std::string_view> others = {}) {
        asked_.insert(asked_.end(), others);
        for (const auto& [key, value] : table_) {
            if (std::ranges::find(asked_, key.str()) == asked_.end()) {
                std::string known;
                for (const std::string_view one : asked_) {
                    known += (known.empty() ? "" : ", ") + std::string(one);
                }
                return wrong_at(key.source().begin, fmt::format("unknown key '{}'", printable(key.str())),
                                "known here: " + known);
            }
        }
        return {};
    }

    static std::string printable(std::string_view text) {
        return escape_for_terminal(std::string(text.substr(0, 80)));
    }

  private:
    [[nodiscard]] std::unexpected<Error> wrong_at(const toml::source_position& at, const std::string& what,
                                                  std::string_view hint) const {
        return fail(ExitStatus::usage, fmt::format("{}:{}:{}: {}", file_, at.line, at.column, what),
                    std::string(hint));
    }

    const toml::table& table_;
    std::string_view file_;
    std::vector<std::string_view> asked_;
};

/// The root of `text`, which errors call `file`. `hint` says what the file should be. Errors: usage: no TOML.
inline Result<toml::table> parse_toml(std::string_view text, std::string_view file, std::string_view hint) {
    toml::parse_result parsed = toml::parse(text);
    if (!parsed) {
        const toml::source_position at = parsed.error().source().begin;
        return fail(ExitStatus::usage,
                    fmt::format("{}:{}:{}: {}", file, at.line, at.column,
                                TomlTable::printable(parsed.error().description())),
                    std::string(hint));
    }
    return std::move(parsed).table();
}

}  // namespace pv
