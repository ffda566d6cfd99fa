// What bridges lead on to the functions behind them.
// SPDX-License-Identifier: MIT
#pragma once

#include "device/pci/bar.hpp"
#include "device/pci/config.hpp"

namespace pv::pci {

/// Whether an access to `bar` reaches `function`: it lies within a memory window of every bridge on the way
/// (PCI-to-PCI Bridge Architecture 1.2, 3.2.5.8 and 3.2.5.9). True on a root bus, and where no bridge says
/// that it leads there. Elsewhere the registers would be another device's, or nobody's. Threads only.
[[nodiscard]] bool is_led_to(const Function& function, const Bar& bar);

}  // namespace pv::pci
