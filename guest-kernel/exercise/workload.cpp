// The kernel's work: nothing yet beyond starting.
// SPDX-License-Identifier: MIT
#include "boot/workload.hpp"

namespace pv::boot {

std::uint32_t workload() {
    return 0;
}

}  // namespace pv::boot
