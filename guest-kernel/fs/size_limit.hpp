// How long the running program may make a file (RLIMIT_FSIZE), as questions: whoever knows programs answers.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>

#include "base/errno.hpp"

namespace pv::fs {

/// The running thread's limit in bytes; ~0: none. And what it is told when it would go beyond: its signal.
struct SizeLimit {
    std::uint64_t (*most)() = nullptr;
    void (*tell)() = nullptr;
};

/// Once, before there is a process; until then nothing is limited.
void set_size_limit(const SizeLimit& limit);

/// How many of `length` bytes (> 0) at `offset` may be written. Threads only, no spinlock held. Error: efbig,
/// with the signal sent.
[[nodiscard]] Outcome<std::uint64_t> within_size_limit(std::uint64_t offset, std::uint64_t length);
/// Whether a file of `before` bytes may become one of `size`. Error: efbig, with the signal sent.
[[nodiscard]] Outcome<> may_have_size(std::uint64_t before, std::uint64_t size);

}  // namespace pv::fs
