// What a PVH loader hands over, as it lies in memory.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>

namespace pv::boot {

/// Xen's struct hvm_start_info (xen/include/public/arch-x86/hvm/start_info.h), version 1.
struct StartInfo {
    std::uint32_t magic;
    std::uint32_t version;
    std::uint32_t flags;
    std::uint32_t module_count;
    std::uint64_t modules;
    std::uint64_t command_line;
    std::uint64_t rsdp;
    std::uint64_t memory_map;  ///< from version 1 on
    std::uint32_t memory_map_entries;
    std::uint32_t reserved;
};

static_assert(sizeof(StartInfo) == 56);

inline constexpr std::uint32_t start_info_magic = 0x336e'c578;

}  // namespace pv::boot
