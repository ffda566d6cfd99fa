// What a thread's calls have moved: the accounts of /proc/PID/io (proc(5)).
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>

#include "base/atomic.hpp"

namespace pv {

/// A state of the accounts, or the sum of several.
struct IoCounts {
    std::uint64_t read = 0;          ///< bytes, by whatever call that reads
    std::uint64_t written = 0;       ///< bytes
    std::uint64_t reads = 0;         ///< calls
    std::uint64_t writes = 0;        ///< calls
    std::uint64_t disk_read = 0;     ///< of `read`, bytes that came from a disk
    std::uint64_t disk_written = 0;  ///< of `written`, bytes that went to one

    friend constexpr IoCounts operator+(const IoCounts& a, const IoCounts& b) {
        return {a.read + b.read,     a.written + b.written,     a.reads + b.reads,
                a.writes + b.writes, a.disk_read + b.disk_read, a.disk_written + b.disk_written};
    }
};

/// The accounts of one thread. It alone adds, so that no addition is an atomic one; anybody may look.
class IoAccount {
  public:
    void add_read(std::uint64_t bytes, bool from_disk) {
        add(reads_, 1);
        add(read_, bytes);
        add(disk_read_, from_disk ? bytes : 0);
    }

    void add_write(std::uint64_t bytes, bool to_disk) {
        add(writes_, 1);
        add(written_, bytes);
        add(disk_written_, to_disk ? bytes : 0);
    }

    [[nodiscard]] IoCounts counts() const {
        constexpr auto relaxed = std::memory_order_relaxed;
        return {read_.load(relaxed),   written_.load(relaxed),   reads_.load(relaxed),
                writes_.load(relaxed), disk_read_.load(relaxed), disk_written_.load(relaxed)};
    }

  private:
    using Count = Atomic<std::uint64_t>;

    static void add(Count& count, std::uint64_t amount) {
        count.store(count.load(std::memory_order_relaxed) + amount, std::memory_order_relaxed);
    }

    Count read_{0};
    Count written_{0};
    Count reads_{0};
    Count writes_{0};
    Count disk_read_{0};
    Count disk_written_{0};
};

}  // namespace pv
