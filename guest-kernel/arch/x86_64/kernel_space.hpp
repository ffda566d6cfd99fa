// The part of the kernel's address space where pages are mapped one by one: stacks, device registers,
// firmware. SPDX-License-Identifier: MIT
#pragma once

#include "arch/x86_64/page_table.hpp"
#include "base/address.hpp"
#include "base/result.hpp"

namespace pv::arch {

inline constexpr std::uint64_t kernel_space_begin = 0xffff'c000'0000'0000;
inline constexpr std::uint64_t kernel_space_end = 0xffff'e000'0000'0000;

/// Address space without pages in it; `size` is a multiple of the page size. Error: out_of_memory.
Result<VirtualAddress> reserve_space(std::uint64_t size);
void release_space(VirtualAddress address, std::uint64_t size);

/// Maps pages into reserved space. Errors as PageTable::map.
Result<> map_pages(VirtualAddress address, PhysicalAddress physical, std::uint64_t size, Access access,
                   Cache cache, Owner owner = Owner::kernel);
void unmap_pages(VirtualAddress address, std::uint64_t size);

}  // namespace pv::arch
