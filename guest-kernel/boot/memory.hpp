// From the loader's memory map to page tables, frames and heap.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <span>

#include "base/address.hpp"
#include "boot/start_info.hpp"
#include "memory/memory_map.hpp"

namespace pv::boot {

/// Builds the final page tables, switches to them, and gives all RAM that is free to the frame allocator. The
/// loader's structures are gone afterwards. Panics when the map has no room for the kernel.
void start_memory(const StartInfo& info);

/// RAM as the loader's map told it.
[[nodiscard]] std::span<const memory::Range> ram();

/// Whether any byte of the range is RAM.
[[nodiscard]] bool overlaps_ram(PhysicalAddress address, std::uint64_t length);

/// The order of a block of frames that was given out; panics for any other address.
[[nodiscard]] unsigned order_of_frames(PhysicalAddress address);

}  // namespace pv::boot
