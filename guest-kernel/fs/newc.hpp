// initramfs archives (cpio's "newc" format, Linux's
// Documentation/driver-api/early-userspace/buffer-format.rst).
// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <span>

#include "fs/path.hpp"

namespace pv::fs {

/// How an archive was taken, and where it stopped.
struct UnpackReport {
    std::uint64_t files = 0;       ///< entries made, of any type
    std::uint64_t bytes = 0;       ///< of contents
    std::uint64_t offset = 0;      ///< of the entry it stopped at
    const char* reason = nullptr;  ///< in words, nullptr: all of it was taken
    Name name;                     ///< of the entry it stopped at
};

/// Makes what the archives in `bytes` hold (one after the other, zeros between them) below `root`. An entry
/// that is there already is replaced, a directory kept. Nothing outside `root` is touched: names with ".."
/// are refused, and links lead nowhere else (fs/path.hpp). Stops at the first entry that is wrong; what came
/// before it is there. Errors: einval (malformed; or compressed, which the reason says), enospc, enomem, and
/// those of making files.
[[nodiscard]] Outcome<> unpack_newc(std::span<const std::byte> bytes, const Location& root,
                                    UnpackReport& report);

}  // namespace pv::fs
