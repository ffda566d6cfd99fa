// Fault plans: the little language of `--fault`, and what one fault is once it is understood.
// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.hpp"

namespace pv::faults {

/// What a request to a disk does, as the block server sees it. The numbers of read to write_zeroes are those
/// of `pv_operation` in abi/paravane/marker.h; `any` matches all of them.
enum class Operation : std::uint8_t { any = 0, read = 1, write = 2, flush = 3, trim = 4, zero = 5 };

/// What happens to a request that a fault catches.
enum class Action : std::uint8_t {
    hold,     ///< kept until the fault's time is over or it is released; then carried out
    delay,    ///< kept for the fault's delay; then carried out
    fail,     ///< answered with the fault's error at once; not carried out
    corrupt,  ///< carried out with wrong data: the first byte of every 512 inverted; reads and writes only
    reorder,  ///< kept until another of the disk has ended, for 250 ms at most; then carried out
};

/// Bytes [offset, offset + length) of a disk.
struct Range {
    std::uint64_t offset = 0;
    std::uint64_t length = 0;

    bool operator==(const Range&) const = default;
};

/// One fault. A request *matches* when operation and range fit (a flush has no range: it matches any). The
/// first `skip` matching requests pass; of those that follow, every `every`-th is caught. The fault *begins*
/// with the first it catches, and is over when `count` are caught or `window` has passed since it began.
struct Fault {
    std::string disk;  ///< name of the disk: disk0, disk1, ...
    Operation operation = Operation::any;
    Action action = Action::hold;
    std::optional<Range> range;
    std::uint64_t skip = 0;
    std::uint64_t every = 1;                         ///< at least 1
    std::optional<std::uint64_t> count;              ///< absent: no limit
    std::optional<std::chrono::nanoseconds> window;  ///< absent: no limit; hold then needs a release
    std::chrono::nanoseconds delay{0};               ///< for Action::delay, of each request
    int error = 0;                                   ///< for Action::fail: errno, as Linux numbers it
    std::string text;                                ///< as it was written

    bool operator==(const Fault&) const = default;
};

/// Understands one fault. Words are separated by spaces; those after the operation may come in any order:
///
///     stall   DISK OPERATION [WHICH]
///     delay   DISK OPERATION by TIME [WHICH]
///     fail    DISK OPERATION [WHICH] [ERROR]
///     corrupt DISK (read | write) [WHICH]
///     reorder DISK OPERATION [WHICH]
///
/// WHICH: [NTH | after N] [every N] [times N] [at OFFSET+LENGTH] [for TIME]. OPERATION: read, write, flush,
/// trim, zero, any. NTH: the N-th matching request, once, and no other. TIME: a
/// number with us, ms, s or m, at most 24 hours. OFFSET, LENGTH: bytes, with k, M, G or T (powers of 1,024).
/// ERROR: EIO (the default), ENOSPC, EPERM, EINVAL, ENOMEM: what reaches QEMU as itself
/// (docs/faults.md). Errors: ExitStatus::usage; the message quotes the word that is wrong, the hint says what
/// was expected there.
Result<Fault> parse_fault(std::string_view text);

/// The operation's name as the language writes it.
std::string_view name(Operation operation);

/// The action's name as the language writes it: stall, delay, fail, corrupt, reorder.
std::string_view name(Action action);

/// Name of an errno that a fault may carry; "E?" for any other.
std::string_view error_name(int error);

}  // namespace pv::faults
