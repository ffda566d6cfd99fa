// Moves bytes from one open file to another without a program's memory.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <optional>

#include "fs/open_file.hpp"

namespace pv::fs {

/// Where bytes are taken from or put to: at an offset of its own, which moves on, or where the file stands;
/// from or to what has no places - a pipe, a socket - what comes next.
struct TransferPlace {
    OpenFile& file;
    std::optional<std::uint64_t> offset;

    [[nodiscard]] std::uint64_t position() const { return offset ? *offset : file.position(); }
};

enum class TransferAmount : std::uint8_t { one_piece, all };

/// Moves up to `length` bytes, or what can be had at once (one_piece, at most 16 KiB), and tells how many
/// came to `to`. What `to` did not take stays in a file or in a pipe, whose other readers wait meanwhile;
/// only what a socket or a device gave is put to the end, however long that takes. `waits`: for room in a
/// pipe. An error only where nothing was moved: what reading and writing give, and eagain. Threads only.
[[nodiscard]] Outcome<std::uint64_t> transfer(TransferPlace& from, TransferPlace& to, std::uint64_t length,
                                              TransferAmount amount, bool waits);

}  // namespace pv::fs
