// tmpfs: a file system in memory, with limits on pages and nodes.
// SPDX-License-Identifier: MIT
#pragma once

#include "fs/node.hpp"

namespace pv::fs {

struct TmpfsLimits {
    std::uint64_t pages = ~std::uint64_t{0};  ///< of contents; more is enospc
    std::uint64_t nodes = ~std::uint64_t{0};  ///< files, directories, links; more is enospc
    Mode root_mode = 01777;
    UserId user = 0;
    GroupId group = 0;
};

/// What Linux gives a tmpfs of which nothing is said: half of the machine's memory.
[[nodiscard]] TmpfsLimits usual_limits();

/// A new, empty file system; its root. It lives as long as one of its nodes. Error: enomem.
[[nodiscard]] Outcome<Ref<Node>> create_tmpfs(const TmpfsLimits& limits);

/// What F_ADD_SEALS knows (fcntl(2)).
namespace seal {
inline constexpr std::uint32_t seal = 1;
inline constexpr std::uint32_t shrink = 2;
inline constexpr std::uint32_t grow = 4;
inline constexpr std::uint32_t write = 8;
inline constexpr std::uint32_t future_write = 16;
inline constexpr std::uint32_t all = 31;
}  // namespace seal

/// Pages that hold contents of files, of all file systems together.
[[nodiscard]] std::uint64_t tmpfs_pages();

/// memfd_create(2): a file without a name, open for reading and writing. Without `allow_sealing` it can get
/// no seals. Errors: enomem, enospc.
[[nodiscard]] Outcome<Ref<OpenFile>> create_memfd(std::string_view name, bool allow_sealing);
/// F_GET_SEALS and F_ADD_SEALS. Errors: einval (no file of tmpfs), eperm (sealed), ebusy (mapped).
[[nodiscard]] Outcome<std::uint32_t> seals(OpenFile& file);
[[nodiscard]] Outcome<> add_seals(OpenFile& file, std::uint32_t more);

}  // namespace pv::fs
