// Base address registers: where a function's registers lie, and how many bytes of them there are.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "base/address.hpp"
#include "base/result.hpp"
#include "device/pci/config.hpp"

namespace pv::pci {

inline constexpr unsigned bar_count = 6;

struct Bar {
    PhysicalAddress address;
    std::uint64_t size = 0;  ///< bytes, a power of two
    bool prefetchable = false;
};

/// A range of physical addresses.
struct PhysicalRange {
    std::uint64_t start = 0;
    std::uint64_t length = 0;
};

/// Sizes memory BAR `index` (PCI 3.0, 6.2.5.1) with the function's decoding off meanwhile, and restores it. A
/// bridge leads on to nothing behind it then: so before anything there is used. Errors: invalid_argument for
/// an index above 5; not_found when nothing is implemented there or it is an I/O BAR; corrupt when what it
/// says cannot be: unassigned, not aligned to its size, wrapping, wider than the processor's addresses, a
/// 64-bit pair in the last register, or overlapping one of `occupied` (RAM). The device's word decides
/// nothing unchecked: a BAR that claims RAM would turn register stores into memory corruption.
[[nodiscard]] Result<Bar> probe_bar(const Function& function, unsigned index,
                                    std::span<const PhysicalRange> occupied);

}  // namespace pv::pci
