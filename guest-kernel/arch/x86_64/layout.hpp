// Where the parts of the kernel's half of the addresses lie: chosen by chance at each boot, then constant.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>

namespace pv::arch {

/// What the places were chosen by.
enum class Chance : std::uint64_t {
    none,       ///< `nokaslr`: where everything was linked
    processor,  ///< RDSEED or RDRAND
    clock,      ///< the cycle counter and what the loader said: can be guessed
};

/// Beside these two, and the image (image.hpp), nothing is mapped in the kernel's half.
struct Layout {
    std::uint64_t direct_map_base;  ///< memory/direct_map.hpp; a multiple of 1 GiB
    std::uint64_t space_begin;      ///< kernel_space.hpp; a multiple of the page size
    Chance chance;
};

}  // namespace pv::arch

/// In the constants of the image (entry.S): written once, by place.cpp, before they are read-only.
extern "C" const pv::arch::Layout pv_layout;
