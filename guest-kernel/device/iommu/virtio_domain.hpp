// A domain of a virtio-iommu.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>

#include "base/atomic.hpp"
#include "base/log.hpp"
#include "device/iommu/domain.hpp"
#include "device/iommu/virtio_unit.hpp"

namespace pv::iommu {

/// The tables are the unit's own: a request that it answered has been carried out, caches included (VIRTIO
/// 1.2, 5.13.6.6).
class VirtioDomain final : public Domain {
  public:
    VirtioDomain(VirtioUnit& unit, marker::Device device, std::uint32_t number, AddressRange addresses)
        : Domain{device, addresses}, unit_{unit}, number_{number} {}

  protected:
    Result<> enter(std::uint64_t iova, PhysicalAddress physical, std::size_t pages,
                   marker::Direction direction) override {
        return unit_.map(number_, iova, physical, pages, direction);
    }

    Result<> remove(std::uint64_t iova, std::size_t pages) override {
        const Result<> removed = unit_.unmap(number_, iova, pages);
        // A domain without its device may be gone, and its mappings with it.
        return !removed && removed.error() == Error::io && detached_.load(std::memory_order_acquire)
                   ? Result<>{}
                   : removed;
    }

    void cut_off() override {
        if (const Result<> detached = unit_.detach(number_, device()); !detached) {
            log::error("virtio-iommu: a device could not be detached: {}", detached.error());
            return;
        }
        detached_.store(true, std::memory_order_release);
    }

  private:
    VirtioUnit& unit_;
    std::uint32_t number_;
    Atomic<bool> detached_{false};
};

}  // namespace pv::iommu
