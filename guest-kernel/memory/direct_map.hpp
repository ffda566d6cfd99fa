// The kernel's window on all of RAM: physical address to pointer and back.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>

#include "base/address.hpp"

namespace pv::memory {

#if PV_HOSTED
/// Hosted frames are ordinary memory at their own address.
constexpr std::uint64_t direct_map_base() {
    return 0;
}
#else
}  // namespace pv::memory

/// Where chance put the direct map, a multiple of 1 GiB (arch/x86_64/place.cpp); the same for the whole boot.
extern "C" const std::uint64_t pv_direct_map_base;

namespace pv::memory {

inline std::uint64_t direct_map_base() {
    return pv_direct_map_base;
}
#endif

/// Bytes of address space behind it: RAM at higher physical addresses is not used.
inline constexpr std::uint64_t direct_map_size = 32ULL << 40;

/// A pointer to RAM at `address`. Only RAM the memory map lists is mapped there: writable, never executable,
/// except the kernel's own text and constants, which are read-only.
template <class T = std::byte>
[[nodiscard]] T* to_pointer(PhysicalAddress address) {
    return reinterpret_cast<T*>(direct_map_base() + address.value());
}

/// Where the memory behind a kernel pointer lies: a pointer into the direct map (heap, frames) or into the
/// kernel image. Not stacks, nor device maps: those panic.
[[nodiscard]] PhysicalAddress to_physical(const void* pointer);

}  // namespace pv::memory
