// PRP entries: how an NVMe command says where its data lies (NVM Express Base Specification 2.0, 4.1.1).
// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "base/address.hpp"
#include "base/endian.hpp"
#include "base/result.hpp"

namespace pv::nvme {

/// A list page holds this many entries when a memory page is 4 KiB.
inline constexpr std::size_t prp_entries_per_page = 512;

/// The data pointer of a command.
struct Prp {
    std::uint64_t prp1 = 0;
    std::uint64_t prp2 = 0;        ///< second page, or the list, or 0
    std::size_t list_entries = 0;  ///< entries of the list in use; 0 = there is no list
};

/// Describes [data, data + length) to the controller. Memory pages are 1 << page_shift bytes. `list` is
/// memory for one PRP list at bus address `list_address`, which must not cross a memory page (one page: no
/// chaining); it is written only where the data needs more than two pages. Errors: invalid_argument when the
/// length is 0, the data is not dword aligned (4.1.1: bits 1..0 of a PRP are 0), the range wraps, or the list
/// is too small for it.
[[nodiscard]] Result<Prp> build_prp(BusAddress data, std::size_t length, unsigned page_shift,
                                    std::span<le64> list, BusAddress list_address);

/// The longest transfer that fits a list of `entries` whatever its offset in the first page.
[[nodiscard]] constexpr std::size_t longest_transfer(std::size_t entries, unsigned page_shift) {
    return entries << page_shift;
}

}  // namespace pv::nvme
