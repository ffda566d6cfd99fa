// A domain of a VT-d unit: its tables, and what is forgotten when they change.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>

#include "device/iommu/domain.hpp"
#include "device/iommu/page_table.hpp"
#include "device/iommu/vtd.hpp"
#include "task/lock.hpp"

namespace pv::iommu {

class VtdDomain final : public Domain {
  public:
    VtdDomain(VtdUnit& unit, marker::Device device, std::uint16_t number, PageTable table,
              AddressRange addresses)
        : Domain{device, addresses}, unit_{unit}, number_{number}, table_{std::move(table)} {}

  protected:
    Result<> enter(std::uint64_t iova, PhysicalAddress physical, std::size_t pages,
                   marker::Direction direction) override;
    Result<> remove(std::uint64_t iova, std::size_t pages) override;
    void cut_off() override;

  private:
    VtdUnit& unit_;
    std::uint16_t number_;
    task::Guarded<PageTable, task::Rank::dma> table_;
};

}  // namespace pv::iommu
