// The part of the kernel's address space where pages are mapped one by one: stacks, device registers,
// firmware.
// SPDX-License-Identifier: MIT
#pragma once

#include "arch/x86_64/page_table.hpp"
#include "base/address.hpp"
#include "base/result.hpp"

namespace pv::arch {

/// From Layout::space_begin on, within one entry of the top level, which all address spaces share: what is
/// mapped there later is there in all of them.
inline constexpr std::uint64_t kernel_space_size = 1ULL << 38;

/// Address space without pages in it; `size` is a multiple of the page size. Error: out_of_memory.
Result<VirtualAddress> reserve_space(std::uint64_t size);
void release_space(VirtualAddress address, std::uint64_t size);

/// Maps pages into reserved space. Errors as PageTable::map.
Result<> map_pages(VirtualAddress address, PhysicalAddress physical, std::uint64_t size, Access access,
                   Cache cache, Owner owner = Owner::kernel);
/// Takes the pages out and makes all CPUs forget them. Error: timed_out, when one did not answer: then
/// neither the frames nor the space may be used again.
Result<> unmap_pages(VirtualAddress address, std::uint64_t size);

/// Takes all of the lower half out of the kernel's tables, where there is something only while CPUs start,
/// and gives the tables' frames back. Error: as unmap_pages; the frames are then not given back.
Result<> drop_lower_half();

}  // namespace pv::arch
