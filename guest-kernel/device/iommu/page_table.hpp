// Second-level page tables: from the addresses of one device's domain to physical memory.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/address.hpp"
#include "base/marker.hpp"
#include "base/result.hpp"

namespace pv::iommu {

/// VT-d 4.0, 3.6 and 9.8: 4 KiB pages, three to five levels. The tables grow with what is mapped and shrink
/// when the domain goes. Not synchronised.
class PageTable {
  public:
    /// Error: out_of_memory. `coherent`: the unit sees the processors' caches.
    [[nodiscard]] static Result<PageTable> create(unsigned levels, bool coherent);

    PageTable(PageTable&& other) noexcept;
    PageTable& operator=(PageTable&&) = delete;
    PageTable(const PageTable&) = delete;
    PageTable& operator=(const PageTable&) = delete;
    /// The unit does not walk it any more.
    ~PageTable();

    [[nodiscard]] PhysicalAddress root() const { return root_; }

    [[nodiscard]] unsigned levels() const { return levels_; }

    /// Width of the addresses it translates.
    [[nodiscard]] unsigned address_bits() const { return page_shift + levels_ * 9; }

    /// `pages` frames from `physical` appear at `iova`, for what `direction` allows. All aligned to a page.
    /// Errors: out_of_range; busy, when one of them is mapped already; out_of_memory. Nothing is mapped then.
    [[nodiscard]] Result<> map(std::uint64_t iova, PhysicalAddress physical, std::size_t pages,
                               marker::Direction direction);

    /// Nothing is there any more, whatever was. What the unit cached stays until it is invalidated.
    void unmap(std::uint64_t iova, std::size_t pages);

    /// The leaf entry that translates `iova`; 0 = none.
    [[nodiscard]] std::uint64_t entry(std::uint64_t iova) const;

  private:
    PageTable(PhysicalAddress root, unsigned levels, bool coherent)
        : root_{root}, levels_{levels}, coherent_{coherent} {}

    /// The lowest table for `iova`; null when there is none and none is to be made, or there is no memory.
    [[nodiscard]] std::uint64_t* leaf_table(std::uint64_t iova, bool make) const;
    void set(std::uint64_t& entry, std::uint64_t value) const;

    PhysicalAddress root_{};
    unsigned levels_ = 0;
    bool coherent_ = false;
};

}  // namespace pv::iommu
