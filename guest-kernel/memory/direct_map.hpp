// The kernel's window on all of RAM: physical address to pointer and back.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>

#include "base/address.hpp"

namespace pv::memory {

#if PV_HOSTED
inline constexpr std::uint64_t direct_map_base = 0;  // hosted frames are ordinary memory at their own address
#else
inline constexpr std::uint64_t direct_map_base = 0xffff'8000'0000'0000;
#endif

/// A pointer to RAM at `address`. Only RAM the memory map lists is mapped there: writable, never executable,
/// except the kernel's own text and constants, which are read-only.
template <class T = std::byte>
[[nodiscard]] T* to_pointer(PhysicalAddress address) {
    return reinterpret_cast<T*>(direct_map_base + address.value());
}

/// Where the memory behind a kernel pointer lies: a pointer into the direct map (heap, frames) or into the
/// kernel image. Not stacks, nor device maps: those panic.
[[nodiscard]] PhysicalAddress to_physical(const void* pointer);

}  // namespace pv::memory
