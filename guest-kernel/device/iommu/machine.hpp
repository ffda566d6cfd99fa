// This machine's IOMMU: found, set up, turned on.
// SPDX-License-Identifier: MIT
#pragma once

#include <span>

#include "device/pci/scan.hpp"

namespace pv::iommu {

/// Finds the machine's IOMMUs, gives each of `functions` that is no bridge a domain of its own, and turns
/// translation on; says what came of it. Without a usable IOMMU nothing is translated, and that is said.
/// Once, before the first driver. Threads only.
void start(std::span<const pci::Found> functions);

/// Before power-off, when every device is at rest: a unit that is a device itself is put to rest as well.
/// VT-d goes on: nothing reaches memory by its end.
void stop();

}  // namespace pv::iommu
