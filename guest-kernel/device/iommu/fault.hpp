// What an IOMMU refused, in words.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <string_view>

#include "base/marker.hpp"

namespace pv::iommu {

/// One refused request.
struct Fault {
    marker::Device device{};
    std::uint64_t address = 0;  ///< the page the device asked for; of an interrupt, the index of its entry
    std::uint8_t reason = 0;    ///< the unit's own number
    bool device_writes = false;
    bool interrupt = false;  ///< not memory, but a message that would have been an interrupt
    std::string_view words;  ///< what `reason` means
};

/// Meaning of VT-d's fault reasons (VT-d 4.0, 7.1.3 and 5.1.4.1, legacy mode).
[[nodiscard]] std::string_view vtd_reason(std::uint8_t reason);

}  // namespace pv::iommu
