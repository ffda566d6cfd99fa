// What an image is made of: a TOML file (docs/images.md).
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"

namespace pv::images {

/// A file of the recipe's own: a text in it, or one beside it.
struct OwnFile {
    std::optional<std::string> text;
    std::filesystem::path from;  ///< absolute; empty with a text
    unsigned mode = 0644;
};

struct Recipe {
    std::string name;            ///< the file's, without .toml
    std::filesystem::path path;  ///< absolute
    std::string source;          ///< the file's bytes
    std::string description;     ///< one line
    std::vector<std::string> command;
    std::vector<std::string> session;     ///< instead of the command where nobody types; may be empty
    std::string directory = "/root";      ///< where the command starts
    std::optional<std::uint64_t> memory;  ///< bytes a guest should have
    bool writable_code = false;           ///< its programs may have memory that is writable and executable
    std::map<std::string, std::string> environment;  ///< besides the tool's own
    std::vector<std::string> packages;               ///< whole, with what they depend on; "one | other"
    std::map<std::string, std::vector<std::string>> programs;  ///< package -> paths and patterns in it
    std::map<std::string, OwnFile> files;                      ///< path -> what is there
    std::map<std::string, std::string> links;                  ///< path -> target
    std::map<std::string, unsigned> directories;               ///< path -> mode
    std::vector<std::string> exclude;        ///< patterns of paths left out of whole packages
    std::vector<std::string> allow_missing;  ///< names of libraries and interpreters
};

/// What whole packages bring and an image does without, unless the recipe has an `exclude` of its own.
const std::vector<std::string>& usual_exclusions();

/// Reads a recipe. Every path of an image in it is as image_path() gives it. Errors: usage: not readable, not
/// TOML, unknown keys, values of the wrong kind or form, always with file, line and column.
Result<Recipe> read_recipe(const std::filesystem::path& path);

/// The same from text; `path` names it in errors, and `from` is relative to its folder.
Result<Recipe> parse_recipe(std::string source, const std::filesystem::path& path);

}  // namespace pv::images
