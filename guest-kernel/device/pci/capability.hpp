// A function's list of capabilities, walked so that a list that lies cannot hold the walker.
// SPDX-License-Identifier: MIT
#pragma once

#include <bitset>
#include <cstdint>
#include <optional>

#include "device/pci/config.hpp"
#include "device/pci/regs.hpp"

namespace pv::pci {

struct Capability {
    CapabilityId id;
    std::uint8_t offset;  ///< in configuration space, a multiple of 4, at least 0x40

    /// The register `at` bytes into the capability. What would lie beyond the 256 bytes of the legacy space
    /// reads as all ones (ConfigSpace).
    template <class T>
    [[nodiscard]] mmio::Register<T> reg(std::size_t at) const {
        return {offset + at};
    }
};

/// Iterates over the list (PCI 3.0, 6.7). Every offset is visited once at most: a loop ends the walk, and so
/// does a pointer into the header. 48 capabilities fit, more are never followed.
class CapabilityWalk {
  public:
    explicit CapabilityWalk(const Function& function);

    [[nodiscard]] std::optional<Capability> next();

    /// The list ended in a way no sound function's does.
    [[nodiscard]] bool malformed() const { return malformed_; }

  private:
    const Function& function_;
    std::uint8_t offset_ = 0;
    std::bitset<64> seen_;
    bool malformed_ = false;
};

/// The first capability called `id`.
[[nodiscard]] std::optional<Capability> find_capability(const Function& function, CapabilityId id);

}  // namespace pv::pci
