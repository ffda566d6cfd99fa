// What sysfs says of disks: /sys/block, and links to there by name and by number.
// SPDX-License-Identifier: MIT
#pragma once

#include "fs/static_tree.hpp"

namespace pv::fs {

// As StaticEntry::make.

/// A directory for each disk.
[[nodiscard]] Outcome<Ref<SyntheticNode>> make_disk_list(const SyntheticIdentity& own, const StaticEntry&);
/// A link for each disk, to ../../block/NAME: called NAME.
[[nodiscard]] Outcome<Ref<SyntheticNode>> make_disk_links(const SyntheticIdentity& own, const StaticEntry&);
/// The same, called MAJOR:MINOR.
[[nodiscard]] Outcome<Ref<SyntheticNode>> make_disk_numbers(const SyntheticIdentity& own, const StaticEntry&);

}  // namespace pv::fs
