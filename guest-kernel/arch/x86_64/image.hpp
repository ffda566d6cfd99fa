// Where the linker put the kernel's parts (kernel.ld).
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>

#include "base/address.hpp"

extern "C" {
extern const char pv_image_start[], pv_image_end[];
extern const char pv_text_start[], pv_text_end[];
extern const char pv_rodata_start[], pv_rodata_end[];
extern const char pv_boot_stack_guard[], pv_boot_stack_top[];
extern const char pv_early_ist_guard[], pv_early_ist_top[];
}

namespace pv::arch {

/// Where the image's first byte was linked, and where it lies in memory (kernel.ld).
inline constexpr std::uint64_t linked_image_begin = 0xffff'ffff'8020'0000;
inline constexpr PhysicalAddress physical_image_begin{0x20'0000};

inline std::uint64_t address_of(const char* symbol) {
    return reinterpret_cast<std::uintptr_t>(symbol);
}

inline PhysicalAddress image_physical(const char* symbol) {
    return physical_image_begin + (address_of(symbol) - address_of(pv_image_start));
}

/// How far the image runs from where it was linked (place.cpp): what debuggers add to its symbols.
inline std::uint64_t image_slide() {
    return address_of(pv_image_start) - linked_image_begin;
}

}  // namespace pv::arch
