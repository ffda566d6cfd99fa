// Recipes are TOML: toml++ reads it and knows the place of each value, which every error names.
// SPDX-License-Identifier: MIT
#define TOML_EXCEPTIONS 0
#define TOML_ENABLE_FORMATTERS 0
#define TOML_HEADER_ONLY 1
#include "images/recipe.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <toml++/toml.h>

#include <algorithm>
#include <charconv>
#include <utility>

#include "base/file.hpp"
#include "base/size.hpp"
#include "base/terminal.hpp"
#include "images/apt.hpp"
#include "images/paths.hpp"

namespace pv::images {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t most_recipe = std::size_t{1} << 20;
constexpr std::string_view text_hint = "a text in quotes";
constexpr std::string_view texts_hint = "a list of texts: [\"one\", \"two\"]";

std::string printable(std::string_view text) {
    return escape_for_terminal(std::string(text.substr(0, 80)));
}

/// Reads the tables of one file; complaints name file, line and column.
class Document {
  public:
    Document(const toml::table& table, const fs::path& path) : table_(table), path_(path) {}

    [[nodiscard]] std::unexpected<Error> wrong(const toml::node& node, const std::string& what,
                                               std::string_view hint) const {
        return wrong_at(node.source().begin, what, hint);
    }

    [[nodiscard]] std::unexpected<Error> wrong_at(const toml::source_position& at, const std::string& what,
                                                  std::string_view hint) const {
        return fail(ExitStatus::usage, fmt::format("{}:{}:{}: {}", path_.string(), at.line, at.column, what),
                    std::string(hint));
    }

    Result<std::string> text(const toml::node& node, std::string_view what) const {
        const std::optional<std::string> value = node.value_exact<std::string>();
        if (!value) {
            return wrong(node, fmt::format("{} is no text", what), text_hint);
        }
        if (value->find('\0') != std::string::npos) {
            return wrong(node, fmt::format("{} has a NUL in it", what), text_hint);
        }
        return *value;
    }

    Result<std::string> text(std::string_view key, std::string standard) const {
        const toml::node* node = table_.get(key);
        return node == nullptr ? Result<std::string>(std::move(standard))
                               : text(*node, fmt::format("'{}'", key));
    }

    Result<std::vector<std::string>> texts(const toml::node& node, std::string_view what) const {
        std::vector<std::string> values;
        if (!node.is_array()) {
            return wrong(node, fmt::format("{} is no list", what), texts_hint);
        }
        for (const toml::node& entry : *node.as_array()) {
            values.push_back(PV_TRY(text(entry, fmt::format("an entry of {}", what))));
        }
        return values;
    }

    Result<std::vector<std::string>> texts(std::string_view key) const {
        const toml::node* node = table_.get(key);
        return node == nullptr ? Result<std::vector<std::string>>(std::vector<std::string>{})
                               : texts(*node, fmt::format("'{}'", key));
    }

    Result<std::string> place(const toml::node& node, std::string_view text) const {
        Result<std::string> path = image_path(text);
        if (!path.has_value() || *path == "/") {
            return wrong(node, path.has_value() ? "'/' is there already" : path.error().message,
                         "paths in an image are absolute and have no '..'");
        }
        return path;
    }

    Result<unsigned> mode(const toml::node& node, std::string_view what) const {
        const std::string text = PV_TRY(this->text(node, what));
        unsigned mode = 0;
        const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), mode, 8);
        if (problem != std::errc() || end != text.data() + text.size() || mode > 07777) {
            return wrong(node, fmt::format("{} is no mode: '{}'", what, printable(text)),
                         "octal digits in quotes: \"0755\"");
        }
        return mode;
    }

    /// Calls `each(key, node)` for the entries of the table `key`; none when there is no such table.
    template <class Each>
    Result<> entries(std::string_view key, const Each& each) const {
        const toml::node* node = table_.get(key);
        if (node == nullptr) {
            return {};
        }
        if (!node->is_table()) {
            return wrong(*node, fmt::format("'{}' is no table", key),
                         fmt::format("write [{}] and what belongs to it below", key));
        }
        for (const auto& [name, value] : *node->as_table()) {
            PV_TRY(each(std::string(name.str()), value));
        }
        return {};
    }

    [[nodiscard]] const toml::node* node(std::string_view key) const { return table_.get(key); }

    Result<> only(std::initializer_list<std::string_view> known) const {
        for (const auto& [key, value] : table_) {
            if (std::ranges::find(known, key.str()) == known.end()) {
                return wrong_at(key.source().begin, fmt::format("unknown key '{}'", printable(key.str())),
                                fmt::format("known here: {}", fmt::join(known, ", ")));
            }
        }
        return {};
    }

    [[nodiscard]] const fs::path& path() const { return path_; }

    [[nodiscard]] fs::path beside(const std::string& name) const {
        return fs::absolute(path_).parent_path() / name;
    }

  private:
    const toml::table& table_;
    const fs::path& path_;
};

Result<OwnFile> own_file(const Document& document, const toml::node& node) {
    constexpr std::string_view hint =
        "{ text = \"...\" } or { from = \"FILE\" }, and mode = \"0755\" if need be";
    OwnFile result;
    if (!node.is_table()) {
        return document.wrong(node, "a file is a table", hint);
    }
    const Document table(*node.as_table(), document.path());
    PV_TRY(table.only({"text", "from", "mode"}));
    if ((table.node("text") == nullptr) == (table.node("from") == nullptr)) {
        return document.wrong(node, "a file has either 'text' or 'from'", hint);
    }
    if (const toml::node* text = table.node("text")) {
        result.text = PV_TRY(table.text(*text, "'text'"));
    } else {
        result.from = document.beside(PV_TRY(table.text("from", "")));
    }
    if (const toml::node* mode = table.node("mode")) {
        result.mode = PV_TRY(table.mode(*mode, "'mode'"));
    }
    return result;
}

bool is_environment_name(std::string_view name) {
    return !name.empty() && name.size() <= 256 && !(name[0] >= '0' && name[0] <= '9') &&
           std::ranges::all_of(name, [](char c) {
               return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
           });
}

// Names divided by " | ": the first one that there is.
bool are_alternatives(std::string_view text) {
    for (;;) {
        const std::size_t end = text.find(" | ");
        if (!is_package_name(text.substr(0, end))) {
            return false;
        }
        if (end == std::string_view::npos) {
            return true;
        }
        text.remove_prefix(end + 3);
    }
}

Result<> read_packages(const Document& document, Recipe& recipe) {
    constexpr std::string_view hint =
        "names as Debian has them: lower-case letters, digits, '+', '-' and '.'";
    recipe.packages = PV_TRY(document.texts("packages"));
    for (const std::string& name : recipe.packages) {
        if (!are_alternatives(name)) {
            return document.wrong(*document.node("packages"),
                                  fmt::format("'{}' is no package's name", printable(name)), hint);
        }
    }
    return document.entries("programs", [&](const std::string& name, const toml::node& node) -> Result<> {
        if (!is_package_name(name)) {
            return document.wrong(node, fmt::format("'{}' is no package's name", printable(name)), hint);
        }
        for (const std::string& text : PV_TRY(document.texts(node, fmt::format("'{}'", name)))) {
            recipe.programs[name].push_back(PV_TRY(document.place(node, text)));
        }
        return {};
    });
}

Result<> read_places(const Document& document, Recipe& recipe) {
    const auto each_file = [&](const std::string& name, const toml::node& node) -> Result<> {
        const std::string path = PV_TRY(document.place(node, name));
        recipe.files[path] = PV_TRY(own_file(document, node));
        return {};
    };
    const auto each_link = [&](const std::string& name, const toml::node& node) -> Result<> {
        const std::string path = PV_TRY(document.place(node, name));
        recipe.links[path] = PV_TRY(document.text(node, "a link"));
        if (recipe.links[path].empty() || recipe.links[path].size() > 4'095) {
            return document.wrong(node, "a link leads nowhere", "\"/bin/sh\" = \"dash\"");
        }
        return {};
    };
    const auto each_directory = [&](const std::string& name, const toml::node& node) -> Result<> {
        const std::string path = PV_TRY(document.place(node, name));
        recipe.directories[path] = PV_TRY(document.mode(node, "a directory"));
        return {};
    };
    const auto each_variable = [&](const std::string& name, const toml::node& node) -> Result<> {
        if (!is_environment_name(name)) {
            return document.wrong(node, fmt::format("'{}' cannot be a variable", printable(name)),
                                  "letters, digits and '_'");
        }
        recipe.environment[name] = PV_TRY(document.text(node, fmt::format("'{}'", name)));
        return {};
    };
    PV_TRY(document.entries("files", each_file));
    PV_TRY(document.entries("links", each_link));
    PV_TRY(document.entries("directories", each_directory));
    return document.entries("environment", each_variable);
}

}  // namespace

const std::vector<std::string>& usual_exclusions() {
    static const std::vector<std::string> patterns = {
        "/usr/share/doc/*",     "/usr/share/man/*", "/usr/share/info/*",     "/usr/share/locale/*",
        "/usr/share/lintian/*", "/usr/share/bug/*", "/usr/share/doc-base/*", "/usr/share/bash-completion/*",
    };
    return patterns;
}

Result<Recipe> parse_recipe(std::string source, const fs::path& path) {
    const toml::parse_result parsed = toml::parse(source, path.string());
    if (!parsed) {
        const toml::parse_error& error = parsed.error();
        return fail(ExitStatus::usage,
                    fmt::format("{}:{}:{}: {}", path.string(), error.source().begin.line,
                                error.source().begin.column, printable(error.description())),
                    "a recipe is TOML; docs/images.md has examples");
    }
    const Document document(parsed.table(), path);
    Recipe recipe;
    recipe.path = fs::absolute(path);
    recipe.name = path.stem().string();
    recipe.source = std::move(source);
    PV_TRY(document.only({"description", "command", "session", "directory", "memory", "environment",
                          "packages", "programs", "files", "links", "directories", "exclude", "allow-missing",
                          "writable-code"}));
    recipe.description = PV_TRY(document.text("description", ""));
    recipe.command = PV_TRY(document.texts("command"));
    if (recipe.command.empty() || recipe.command.front().empty()) {
        const toml::node* node = document.node("command");
        return document.wrong_at(node == nullptr ? toml::source_position{1, 1} : node->source().begin,
                                 "a recipe has a 'command' to start", "command = [\"/bin/sh\"]");
    }
    recipe.session = PV_TRY(document.texts("session"));
    if (const toml::node* node = document.node("session");
        node != nullptr && (recipe.session.empty() || recipe.session.front().empty())) {
        return document.wrong(*node, "'session' names no program",
                              "session = [\"/bin/sh\", \"/usr/bin/session\"]");
    }
    if (const toml::node* node = document.node("directory")) {
        const std::string text = PV_TRY(document.text(*node, "'directory'"));
        recipe.directory = text == "/" ? text : PV_TRY(document.place(*node, text));
    }
    if (const toml::node* node = document.node("memory")) {
        const std::string text = PV_TRY(document.text(*node, "'memory'"));
        const Result<std::uint64_t> memory = parse_size(text);
        if (!memory.has_value()) {
            return document.wrong(*node, memory.error().message, memory.error().hint);
        }
        recipe.memory = *memory;
    }
    if (const toml::node* node = document.node("writable-code")) {
        if (!node->is_boolean()) {
            return document.wrong(*node, "'writable-code' is true or false", "writable-code = true");
        }
        recipe.writable_code = node->as_boolean()->get();
    }
    PV_TRY(read_packages(document, recipe));
    PV_TRY(read_places(document, recipe));
    recipe.exclude =
        document.node("exclude") == nullptr ? usual_exclusions() : PV_TRY(document.texts("exclude"));
    recipe.allow_missing = PV_TRY(document.texts("allow-missing"));
    return recipe;
}

Result<Recipe> read_recipe(const fs::path& path) {
    std::string source = PV_TRY(read_regular(
        path, "recipe", most_recipe, "a recipe is a short text; larger files go beside it, as `from`"));
    return parse_recipe(std::move(source), path);
}

}  // namespace pv::images
