// A file's attributes as programs get them.
// SPDX-License-Identifier: MIT
#pragma once

#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "fs/types.hpp"

namespace pv::linux {

[[nodiscard]] inline struct stat stat_of(const fs::Attributes& a) {
    const auto time = [](Timestamp t) { return timespec{t.seconds, static_cast<long>(t.nanoseconds)}; };
    struct stat s{};
    s.st_dev = a.device;
    s.st_ino = a.number;
    s.st_nlink = a.links;
    s.st_mode = a.full_mode();
    s.st_uid = a.user;
    s.st_gid = a.group;
    s.st_rdev = a.special.encoded();
    s.st_size = static_cast<off_t>(a.size);
    s.st_blksize = a.block_size;
    s.st_blocks = static_cast<blkcnt_t>(a.blocks);
    s.st_atim = time(a.accessed);
    s.st_mtim = time(a.modified);
    s.st_ctim = time(a.changed);
    return s;
}

[[nodiscard]] inline struct statx statx_of(const fs::Attributes& a) {
    const auto time = [](Timestamp t) {
        return statx_timestamp{.tv_sec = t.seconds, .tv_nsec = t.nanoseconds, .__reserved = 0};
    };
    const fs::DeviceNumber device = fs::DeviceNumber::decode(a.device);
    struct statx s{};
    s.stx_mask = STATX_BASIC_STATS | STATX_BTIME;
    s.stx_blksize = a.block_size;
    s.stx_nlink = static_cast<std::uint32_t>(a.links);
    s.stx_uid = a.user;
    s.stx_gid = a.group;
    s.stx_mode = static_cast<std::uint16_t>(a.full_mode());
    s.stx_ino = a.number;
    s.stx_size = a.size;
    s.stx_blocks = a.blocks;
    s.stx_atime = time(a.accessed);
    s.stx_mtime = time(a.modified);
    s.stx_ctime = time(a.changed);
    s.stx_btime = time(a.born);
    s.stx_rdev_major = a.special.major;
    s.stx_rdev_minor = a.special.minor;
    s.stx_dev_major = device.major;
    s.stx_dev_minor = device.minor;
    return s;
}

}  // namespace pv::linux
