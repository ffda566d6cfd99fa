// sysfs: the little of it that programs count processors and find disks with.
// SPDX-License-Identifier: MIT
#pragma once

#include "fs/node.hpp"

namespace pv::fs {

/// A new root of sysfs. Error: enomem.
[[nodiscard]] Outcome<Ref<Node>> create_sysfs();

}  // namespace pv::fs
