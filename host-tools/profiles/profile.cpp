// Profiles are TOML; docs/profiles.md says what each key means.
// SPDX-License-Identifier: MIT
#include "profiles/profile.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <regex>
#include <span>

#include "base/file.hpp"
#include "base/toml_table.hpp"

namespace pv::profiles {
namespace {

using Table = TomlTable;

constexpr std::size_t most_calls = 64;
constexpr std::uintmax_t most_bytes = 1 << 20;

struct Shape {
    std::string_view name;
    Deed deed;
    std::array<std::string_view, 4> needed;
    std::array<std::string_view, 3> possible;
};

constexpr std::array shapes = {
    Shape{"map", Deed::map, {"device", "bus", "length"}, {"page", "offset", "direction"}},
    Shape{"unmap", Deed::unmap, {"device", "bus", "length"}, {}},
    Shape{"map-list", Deed::map_list, {"device", "list", "count"}, {"direction"}},
    Shape{"map-table", Deed::map_table, {"device", "table"}, {"direction"}},
    Shape{"unmap-list", Deed::unmap_list, {"device", "list", "count"}, {}},
    Shape{"release", Deed::release, {"page"}, {"order"}},
    Shape{"release-folios", Deed::release_folios, {"batch"}, {}},
    Shape{"shootdown", Deed::shootdown, {"space", "first", "last", "shift"}, {}},
    Shape{"shootdown-kernel", Deed::shootdown_kernel, {}, {"first", "last"}},
};

bool is_place(std::string_view text) {
    const std::string_view number = text.starts_with('*') ? text.substr(1) : text;
    return text == "result" || (number.size() == 1 && number[0] >= '0' && number[0] <= '5');
}

/// What is known of a call before it returns cannot use its result.
bool is_known_early(Deed deed) {
    return deed == Deed::unmap || deed == Deed::unmap_list || is_about_translation(deed);
}

Result<> add_operand(Table& table, Call& call, std::string_view key, bool needed) {
    constexpr std::string_view hint =
        "where it is: an argument, \"0\" to \"5\"; what one points to, \"*2\"; \"result\"";
    const auto place = PV_TRY(table.get<std::string>(key, hint));
    if (!place) {
        return needed ? table.wrong(fmt::format("'{}' is missing for what '{}' does", key, call.symbol), hint)
                      : Result<>{};
    }
    if (!is_place(*place) || (is_known_early(call.deed) && !(place->size() == 1))) {
        return table.wrong(table.node(key),
                           fmt::format("'{}' is no place of '{}'", Table::printable(*place), key), hint);
    }
    call.operands.push_back({std::string(key), *place});
    return {};
}

Result<Call> read_call(Table& table) {
    Call call;
    call.symbol = PV_TRY(table.get<std::string>("symbol", "a function's name")).value_or("");
    if (call.symbol.empty() || call.symbol.size() > 255) {
        return table.wrong("a call has no symbol", "symbol = \"dma_map_page_attrs\"");
    }
    const std::string does = PV_TRY(table.get<std::string>("does", "a text")).value_or("");
    const auto shape = std::ranges::find(shapes, does, &Shape::name);
    if (shape == shapes.end()) {
        return table.wrong(fmt::format("'{}' does nothing that is known", Table::printable(call.symbol)),
                           "does = \"map\", \"unmap\", \"map-list\", ...: docs/profiles.md has them all");
    }
    call.deed = shape->deed;
    const auto add = [&](std::span<const std::string_view> keys, bool needed) -> Result<> {
        for (const std::string_view key : keys) {
            if (!key.empty()) {
                PV_TRY(add_operand(table, call, key, needed));
            }
        }
        return {};
    };
    PV_TRY(add(shape->needed, true));
    PV_TRY(add(shape->possible, false));
    call.failure = PV_TRY(table.get<std::int64_t>("fails-with", "a whole number, a result of the function"));
    PV_TRY(table.done());
    return call;
}

}  // namespace

std::string_view name(Deed deed) {
    const auto found = std::ranges::find(shapes, deed, &Shape::deed);
    return found == shapes.end() ? "?" : found->name;
}

Result<Profile> parse_profile(std::string_view text, const std::string& file) {
    const toml::table root = PV_TRY(parse_toml(text, file, "profiles are TOML: docs/profiles.md"));
    Table top(root, file);
    Profile profile;
    profile.name = std::filesystem::path(file).stem().string();
    profile.description = PV_TRY(top.get<std::string>("description", "a text")).value_or("");
    profile.kernel = PV_TRY(top.get<std::string>("kernel", "a text")).value_or("");
    try {
        static_cast<void>(std::regex(profile.kernel));
    } catch (const std::regex_error&) {
        return top.wrong(top.node("kernel"), "'kernel' is no regular expression (ECMAScript)",
                         "it has to fit the kernel's banner: \"^Linux version 6\\\\.1\\\\.\"");
    }
    profile.calls_of = PV_TRY(top.get<std::string>("calls-of", "a profile's name")).value_or("");
    const toml::array* calls = root.get_as<toml::array>("call");
    if (!profile.calls_of.empty() && calls == nullptr) {
        PV_TRY(top.done());
        return profile;
    }
    if (calls == nullptr || calls->empty() || calls->size() > most_calls) {
        return top.wrong(fmt::format("no [[call]], or more than {}", most_calls),
                         "docs/profiles.md has an example");
    }
    for (const toml::node& node : *calls) {
        if (!node.is_table()) {
            return top.wrong(node, "a call is a table", "write [[call]] and its keys below");
        }
        Table table(*node.as_table(), file);
        profile.calls.push_back(PV_TRY(read_call(table)));
    }
    PV_TRY(top.done({"call"}));
    return profile;
}

namespace {

namespace fs = std::filesystem;

Result<Profile> read_one(const std::string& word, const fs::path& folder) {
    std::error_code problem;
    const bool is_path = word.find('/') != std::string::npos || word.ends_with(".toml");
    const fs::path path = is_path ? fs::path(word) : folder / (word + ".toml");
    const auto text = read_regular(path, "profile", most_bytes);
    if (!text) {
        std::string known;
        for (const auto& entry : fs::directory_iterator(folder, problem)) {
            known += (known.empty() ? "" : ", ") + entry.path().stem().string();
        }
        return fail(ExitStatus::usage, fmt::format("there is no profile '{}'", Table::printable(word)),
                    known.empty() ? std::string("give the path of one: docs/profiles.md")
                                  : fmt::format("there are: {}; or give the path of one", known));
    }
    return parse_profile(*text, path.string());
}

}  // namespace

Result<Profile> read_profile(const std::string& word, const fs::path& folder) {
    Profile profile = PV_TRY(read_one(word, folder));
    if (!profile.calls_of.empty()) {
        Profile other = PV_TRY(read_one(profile.calls_of, folder));
        if (!other.calls_of.empty()) {
            return fail(ExitStatus::usage,
                        fmt::format("the profile '{}' has the calls of '{}', which has none itself",
                                    profile.name, Table::printable(profile.calls_of)),
                        "'calls-of' names a profile with [[call]]");
        }
        std::ranges::move(other.calls, std::back_inserter(profile.calls));
    }
    return profile;
}

}  // namespace pv::profiles
