// Normalises paths.
// SPDX-License-Identifier: MIT
#include "images/paths.hpp"

#include <fmt/format.h>
#include <fnmatch.h>

#include <algorithm>
#include <array>
#include <vector>

namespace pv::images {
namespace {

constexpr std::size_t longest_path = 4'095;     // PATH_MAX without its NUL
constexpr std::size_t longest_component = 255;  // NAME_MAX

bool is_control(char letter) {
    const auto code = static_cast<unsigned char>(letter);
    return code < 0x20 || code == 0x7f;
}

}  // namespace

bool is_merged(std::string_view top) {
    static constexpr std::array<std::string_view, 6> merged = {"bin",   "sbin",  "lib",
                                                               "lib32", "lib64", "libx32"};
    return std::ranges::find(merged, top) != merged.end();
}

Result<std::string> image_path(std::string_view text, bool relative_to_root) {
    const auto wrong = [text](std::string_view why) {
        return fail(ExitStatus::usage,
                    fmt::format("'{}' cannot be a path in an image: {}", text.substr(0, 200), why),
                    "paths in an image are absolute and have no '..'");
    };
    if (text.empty() || (text.front() != '/' && !relative_to_root)) {
        return wrong("it is not absolute");
    }
    if (text.size() > longest_path) {
        return wrong("it is too long");
    }
    if (std::ranges::any_of(text, is_control)) {
        return wrong("it has a control character");
    }
    std::string path;
    for (std::size_t begin = 0; begin < text.size();) {
        const std::size_t end = std::min(text.find('/', begin), text.size());
        const std::string_view component = text.substr(begin, end - begin);
        begin = end + 1;
        if (component.empty() || component == ".") {
            continue;
        }
        if (component == "..") {
            return wrong("it leads upwards");
        }
        if (component.size() > longest_component) {
            return wrong("a component is too long");
        }
        if (path.empty() && is_merged(component) && end < text.size() &&
            text.find_first_not_of("/.", end) != std::string_view::npos) {
            path = "/usr";
        }
        path += '/';
        path += component;
    }
    return path.empty() ? "/" : path;
}

std::string_view parent_of(std::string_view path) {
    const std::size_t slash = path.rfind('/');
    return slash == 0 || slash == std::string_view::npos ? "/" : path.substr(0, slash);
}

std::string_view name_of(std::string_view path) {
    return path.substr(path.rfind('/') + 1);
}

bool matches(const std::string& pattern, const std::string& path) {
    return ::fnmatch(pattern.c_str(), path.c_str(), FNM_PATHNAME) == 0;
}

bool is_pattern(std::string_view text) {
    return text.find_first_of("*?[") != std::string_view::npos;
}

bool is_within(std::string_view path, std::string_view folder) {
    return folder == "/" || path == folder || (path.starts_with(folder) && path[folder.size()] == '/');
}

}  // namespace pv::images
