// The archive a kernel unpacks: newc (cpio -H newc; Linux,
// Documentation/driver-api/early-userspace/buffer-format).
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "images/tree.hpp"

namespace pv::images {

/// Writes `tree` to `path`, which appears whole or not at all (written beside it, then renamed). The same
/// tree and `time` (seconds since 1970, of every entry) give the same bytes: sorted, owned by root, numbered
/// in order. Errors: unavailable: no space, not writable; usage: `path` is no place for a file.
Result<> write_image(const Tree& tree, const std::filesystem::path& path, std::int64_t time);

/// Copies an image that write_image() made to the new file `to`, with `more` after its entries; the kernel
/// takes the last of what is there twice. Errors: as write_image; usage: that is no such image.
Result<> copy_image(const std::filesystem::path& image, const std::filesystem::path& to,
                    const std::vector<std::pair<std::string, Node>>& more);

/// Reads an archive back, any newc one of at most 4 GiB, hostile ones included. Errors: usage.
Result<std::vector<std::pair<std::string, Node>>> read_image(const std::filesystem::path& path);

}  // namespace pv::images
