// procfs: what programs are told of processes and of the machine (proc(5)).
// SPDX-License-Identifier: MIT
#pragma once

#include "fs/node.hpp"
#include "fs/static_tree.hpp"

namespace pv::fs {

/// A file in /proc/paravane: what a part of the kernel tells of itself. `file` lives for ever. At most 16.
/// Error: enospc. Before or after /proc is mounted.
[[nodiscard]] Outcome<> add_own_file(const StaticEntry& file);

/// A new root of procfs. Error: enomem.
[[nodiscard]] Outcome<Ref<Node>> create_procfs();

}  // namespace pv::fs
