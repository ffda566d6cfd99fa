// Configuration space through ports 0xcf8 and 0xcfc (PCI 3.0, 3.2.2.3.2): for machines without an MCFG.
// SPDX-License-Identifier: MIT
#pragma once

#include "device/pci/config.hpp"
#include "task/lock.hpp"

namespace pv::pci {

class PortSpace final : public ConfigSpace {
  public:
    PortSpace() = default;
    ~PortSpace() = default;

    [[nodiscard]] std::uint32_t read(Address address, std::size_t offset, unsigned width) override;
    void write(Address address, std::size_t offset, unsigned width, std::uint32_t value) override;

  private:
    task::SpinLock lock_{task::Rank::leaf};  ///< address and data port belong together
};

}  // namespace pv::pci
