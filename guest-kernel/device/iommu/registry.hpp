// Which device has which domain: asked by every DMA mapping and by interrupts.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <memory>

#include "base/marker.hpp"
#include "base/result.hpp"
#include "base/vector.hpp"
#include "device/iommu/domain.hpp"
#include "device/iommu/unit.hpp"
#include "interrupt/vector.hpp"

namespace pv::iommu {

/// A device, the unit it is behind, and its domain there.
struct Attached {
    marker::Device device{};
    Unit* unit = nullptr;
    std::unique_ptr<Domain> domain;
};

/// `devices` (sorted by device, living for good) are confined to their domains from now on, and every other
/// device to nothing. Null, for tests: nothing is confined.
void confine(const Vector<Attached>* devices);

/// Devices reach only what their domains map. Any context.
[[nodiscard]] bool confined();

/// The domain of `device`; null when it has none: it reaches everything where DMA is not confined, nothing
/// where it is. Any context.
[[nodiscard]] Domain* domain_of(marker::Device device);

/// What `device` must send so that its interrupt `source` raises `message`. Threads only. Errors: as
/// Unit::remap.
[[nodiscard]] Result<interrupt::Message> remap(marker::Device device, std::size_t source,
                                               const interrupt::Message& message);
void forget_interrupts(marker::Device device);

/// A unit's word that it refused a request: given to the device's domain. Interrupt handlers.
void report_fault(const Fault& fault);

}  // namespace pv::iommu
