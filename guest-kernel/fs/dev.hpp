// /dev: null, zero, full, random, urandom, kmsg; terminals; what programs expect to find there.
// SPDX-License-Identifier: MIT
#pragma once

#include "fs/mounts.hpp"
#include "fs/terminal.hpp"

namespace pv::fs {

/// Registers the drivers of memory devices and terminals. `console` is /dev/console, /dev/ttyS0, and what
/// /dev/tty is before there is a controlling terminal to be asked for. Once, at the start. Error: ebusy.
[[nodiscard]] Outcome<> start_devices(Ref<Terminal> console);

/// Makes the nodes of /dev in `directory`: devices, disks, fd, stdin, stdout, stderr, pts and ptmx, shm. What
/// is there already stays. Errors: those of making nodes.
[[nodiscard]] Outcome<> populate_dev(const Location& directory);

/// There is a disk more (fs/disk_view.hpp): its node is made, if the others were. Threads only. Errors: those
/// of making nodes.
[[nodiscard]] Outcome<> add_disk_nodes();

}  // namespace pv::fs
