// The files of a Debian package. Read only: no script of a package is ever run, nothing is written anywhere.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "images/tree.hpp"

namespace pv::images {

/// Paths (paths.hpp) and nodes in the archive's order. deb(5): an ar archive with data.tar in it, compressed
/// as libarchive knows.
using Members = std::vector<std::pair<std::string, Node>>;

/// Reads the package at `archive`; its nodes belong to `owner`. `budget`, the bytes its files may have
/// together, shrinks by what they have. Packages are hostile: errors (usage) name the package when it is
/// damaged, has a path that leads upwards, a device, or a hard link to what is not in it, or more than the
/// budget.
Result<Members> read_deb(const std::filesystem::path& archive, const std::string& owner,
                         std::uint64_t& budget);

/// The script that dpkg would run after unpacking it; empty without one. Errors: as read_deb, and a script of
/// more than 1 MiB.
Result<std::string> read_postinst(const std::filesystem::path& archive, const std::string& owner);

}  // namespace pv::images
