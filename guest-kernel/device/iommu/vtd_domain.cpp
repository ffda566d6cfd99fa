// A domain of a VT-d unit: its tables, and what is forgotten when they change.
// SPDX-License-Identifier: MIT
#include "device/iommu/vtd_domain.hpp"

namespace pv::iommu {

Result<> VtdDomain::enter(std::uint64_t iova, PhysicalAddress physical, std::size_t pages,
                          marker::Direction direction) {
    const Result<> mapped =
        table_.with([&](PageTable& table) { return table.map(iova, physical, pages, direction); });
    if (!mapped) {
        // Before it failed some of it may have been there for a moment, and a device may have looked.
        PV_TRY(unit_.invalidate(number_, iova, pages));
        return mapped;
    }
    const Result<> published = unit_.publish(number_, iova, pages);
    if (!published) {
        // Some of it may have been there for a moment, and a device may have looked.
        PV_TRY(remove(iova, pages));
    }
    return published;
}

Result<> VtdDomain::remove(std::uint64_t iova, std::size_t pages) {
    table_.with([&](PageTable& table) { table.unmap(iova, pages); });
    return unit_.invalidate(number_, iova, pages);
}

void VtdDomain::cut_off() {
    unit_.block(device(), number_);
}

}  // namespace pv::iommu
