// From the loader's memory map to page tables, frames and heap.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <span>

#include "base/address.hpp"
#include "base/atomic.hpp"
#include "base/result.hpp"
#include "boot/start_info.hpp"
#include "memory/frames.hpp"
#include "memory/memory_map.hpp"

namespace pv::boot {

/// Builds the final page tables, switches to them, and gives all RAM that is free to the frame allocator. The
/// loader's structures are gone afterwards. Panics when the map has no room for the kernel.
void start_memory(const StartInfo& info);

/// A page of RAM below 1 MiB that nothing maps and nobody is given: where other CPUs start, in real mode.
/// Zero when the machine has none.
[[nodiscard]] PhysicalAddress startup_page();

/// The common allocator, without the stock of the CPU. As memory::allocate_frames and free_frames.
Result<PhysicalAddress> allocate_common(unsigned order);
void free_common(PhysicalAddress address, unsigned order);
/// As many single frames as there are, at most out.size(); how many. One lock for all of them.
std::size_t allocate_common(std::span<PhysicalAddress> out);
void free_common(std::span<const PhysicalAddress> frames);

/// Makes single frames of a block that was given out; panics for anything else.
void split_common(PhysicalAddress address, unsigned order);

/// Notes that a single frame given out lies in a CPU's stock, or that it does no more. False, and nothing
/// changed, when it was not given out, or lies there already (or does not, for unmark).
[[nodiscard]] bool mark_in_stock(PhysicalAddress frame);
[[nodiscard]] bool unmark_in_stock(PhysicalAddress frame);

/// The common allocator's figures: frames in stock count as given out.
[[nodiscard]] memory::FrameStatistics common_statistics();

/// Whether no more than the kernel's own reserve is left: a 64th of all memory, 512 KiB to 16 MiB. As of the
/// last time the common allocator was asked. Any context.
[[nodiscard]] bool is_memory_scarce();
/// Whether about twice the reserve is left, or less.
[[nodiscard]] bool is_memory_low();

/// Whether more than half of memory is free.
[[nodiscard]] bool is_memory_plentiful();

/// How many owners a frame has beyond its first one (memory/frame_owners.hpp). Panics for an address that is
/// no frame under management.
[[nodiscard]] Atomic<std::uint32_t>& further_owners(PhysicalAddress frame);

/// The first module the loader brought, an initramfs: nothing else is put there until it is released. Empty
/// when there is none.
[[nodiscard]] std::span<const std::byte> initramfs();
/// Gives the module's memory to the frame allocator. Once, when nobody reads it any more.
void release_initramfs();

/// RAM as the loader's map told it.
[[nodiscard]] std::span<const memory::Range> ram();

/// Whether any byte of the range is RAM.
[[nodiscard]] bool overlaps_ram(PhysicalAddress address, std::uint64_t length);

/// The order of a block of frames that was given out; panics for any other address.
[[nodiscard]] unsigned order_of_frames(PhysicalAddress address);

}  // namespace pv::boot
