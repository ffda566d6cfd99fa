// Advisory locks on files: byte ranges of processes and of open files (fcntl(2)), and whole files (flock(2)).
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <optional>

#include "base/errno.hpp"

namespace pv::fs {

class Node;

/// The two kinds know nothing of each other.
enum class LockKind : std::uint8_t { range, whole };

enum class LockWish : std::uint8_t { unlock, shared, exclusive };

/// Bytes [begin, last]; `last` of lock_end: to the end, however long the file becomes.
struct LockRange {
    std::uint64_t begin = 0;
    std::uint64_t last = 0;
};

inline constexpr std::uint64_t lock_end = 0x7fff'ffff'ffff'ffff;

/// A table of descriptors (the locks of a process), or an open file.
struct LockOwner {
    const void* who = nullptr;
    int process = 0;  ///< told to who asks; -1: an open file's
    /// Waiting in a circle is looked for: of processes only, as with Linux.
    bool looks_for_circles = false;
};

struct HeldLock {
    bool is_exclusive = false;
    LockRange range;
    int process = 0;
};

/// All files together have no more; then there is ENOLCK.
inline constexpr unsigned locks_max = 65'536;

/// Takes, changes or gives up a lock; what the owner had in the range before is replaced. With `wait`, until
/// others let go. Threads of programs only where it waits. Errors: eagain, edeadlk, eintr, enolck.
[[nodiscard]] Outcome<> set_lock(Node& node, LockKind kind, const LockOwner& owner, LockRange range,
                                 LockWish wish, bool wait);

/// The first lock that stands in the way.
[[nodiscard]] std::optional<HeldLock> find_lock(Node& node, LockKind kind, const LockOwner& owner,
                                                LockRange range, LockWish wish);

/// All locks of an owner on a file go: a process closed one of its descriptors, an open file is closed for
/// good.
void drop_locks(Node& node, const void* owner);

/// They become another owner's (execve with a table of descriptors of its own).
void move_locks(const void* from, const void* to);

}  // namespace pv::fs
