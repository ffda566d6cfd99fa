// Which disks there are, as questions: whoever publishes them to programs answers.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>

#include "fs/node.hpp"

namespace pv::fs {

/// What /dev, /sys/block and /proc/partitions tell of one disk.
struct DiskFacts {
    Name name;  ///< as in /dev
    DeviceNumber number;
    std::uint64_t bytes = 0;
    std::uint32_t block_size = 512;
    std::uint64_t discard_bytes = 0;  ///< most of one command; 0: not offered
    std::uint64_t zero_bytes = 0;     ///< the same of writing zeros
    bool read_only = false;
    bool write_cache = false;
};

/// Disks are counted from 0 on; a number is never another's. False: there are not so many.
using DiskTeller = bool (*)(std::size_t index, DiskFacts& facts);
/// Makes all that disks were told durable, as far as each can in time.
using DiskFlusher = void (*)();

/// Any time; without them there are none.
void set_disk_teller(DiskTeller teller, DiskFlusher flusher);
[[nodiscard]] bool tell_disk(std::size_t index, DiskFacts& facts);
/// sync(2). Threads only; as long as the disks' deadlines.
void flush_disks();

/// Major numbers of disks: extended ones, and what Linux gives virtio-blk, whose number is not fixed.
inline constexpr std::uint32_t extended_disk_major = 259;
inline constexpr std::uint32_t virtio_disk_major = 254;

}  // namespace pv::fs
