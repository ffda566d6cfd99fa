// Where a PCI function lives.
// SPDX-License-Identifier: MIT
#pragma once

#include <compare>
#include <cstdint>

#include "base/marker.hpp"

namespace pv::pci {

struct Address {
    std::uint16_t segment = 0;
    std::uint8_t bus = 0;
    std::uint8_t device = 0;    ///< 0 to 31
    std::uint8_t function = 0;  ///< 0 to 7

    /// As markers and the trace name it.
    [[nodiscard]] constexpr marker::Device marker() const {
        return marker::Device{static_cast<std::uint32_t>(segment) << 16 |
                              static_cast<std::uint32_t>(bus) << 8 | static_cast<std::uint32_t>(device) << 3 |
                              function};
    }

    auto operator<=>(const Address&) const = default;
};

}  // namespace pv::pci
