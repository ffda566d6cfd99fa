// A disk as an open file.
// SPDX-License-Identifier: MIT
#pragma once

#include "block/published.hpp"
#include "fs/open_file.hpp"

namespace pv::block {

/// Bytes go through memory of the kernel's, in pieces of one request each; a program never lends a device its
/// own. A write has reached the device when it returns; fsync, O_SYNC and O_DSYNC make it last. Errors of
/// reading and writing: eio (the device failed or did not answer in time), enospc (a write beyond the end),
/// eperm (it is read-only), einval (O_DIRECT: not whole blocks), eintr (the program is killed), enomem.
[[nodiscard]] pv::Outcome<Ref<fs::OpenFile>> open_disk(const fs::Location& here, std::uint32_t flags,
                                                       Published& disk);

}  // namespace pv::block
