// Paths inside an image: absolute, without detours, in the merged layout of /usr.
// SPDX-License-Identifier: MIT
#pragma once

#include <string>
#include <string_view>

#include "base/error.hpp"

namespace pv::images {

/// The path as an image has it: "/" or "/" and components, without "." and empty ones. /bin, /sbin, /lib* are
/// links into /usr in every image (as in Debian since 12), so what is below them moves there. `text` is
/// absolute unless `relative_to_root`: then "./usr/bin/x" and "usr/bin/x" are taken as well, as archives have
/// them. Errors: usage: relative, a component "..", a control character, longer than Linux takes (4,095
/// bytes, 255 a component).
Result<std::string> image_path(std::string_view text, bool relative_to_root = false);

/// The folder of an image path: "/usr/bin/x" gives "/usr/bin", "/x" gives "/".
std::string_view parent_of(std::string_view path);

/// The last component.
std::string_view name_of(std::string_view path);

/// True when the shell pattern (fnmatch: `*`, `?`, `[...]`) fits the whole path; `*` does not cross a '/'.
bool matches(const std::string& pattern, const std::string& path);

/// True when `text` has one of fnmatch's special characters.
bool is_pattern(std::string_view text);

/// True when `path` is `folder` or below it.
bool is_within(std::string_view path, std::string_view folder);

/// The folders that are links into /usr, by name: bin, lib, ...
bool is_merged(std::string_view top);

}  // namespace pv::images
