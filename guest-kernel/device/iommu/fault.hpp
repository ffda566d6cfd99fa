// What an IOMMU refused, in words.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <string_view>

#include "base/marker.hpp"

namespace pv::iommu {

/// What the device tried; the numbers are the marker's (dma_fault, write).
enum class Attempt : std::uint8_t { read = 0, write = 1, unknown = 2 };

[[nodiscard]] constexpr std::string_view to_string(Attempt attempt) {
    return attempt == Attempt::read ? "read" : attempt == Attempt::write ? "write" : "use";
}

/// One refused request.
struct Fault {
    marker::Device device{};
    std::uint64_t address = 0;  ///< the page the device asked for; of an interrupt, the index of its entry
    std::uint8_t reason = 0;    ///< the unit's own number
    Attempt attempt = Attempt::unknown;
    bool interrupt = false;  ///< not memory, but a message that would have been an interrupt
    std::string_view words;  ///< what `reason` means
};

/// Meaning of VT-d's fault reasons (VT-d 4.0, 7.1.3 and 5.1.4.1, legacy mode).
[[nodiscard]] std::string_view vtd_reason(std::uint8_t reason);

}  // namespace pv::iommu
