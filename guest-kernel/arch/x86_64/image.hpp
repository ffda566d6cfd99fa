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

inline constexpr std::uint64_t kernel_base = 0xffff'ffff'8000'0000;

inline std::uint64_t address_of(const char* symbol) {
    return reinterpret_cast<std::uintptr_t>(symbol);
}

inline PhysicalAddress image_physical(const char* symbol) {
    return PhysicalAddress(address_of(symbol) - kernel_base);
}

}  // namespace pv::arch
