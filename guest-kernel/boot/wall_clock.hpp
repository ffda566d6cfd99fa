// Asks the machine what time it is.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>

namespace pv::boot {

/// Reads the real-time clock through its ports and sets wall_time() by it; a clock that does not answer is
/// said and left alone. At boot, one CPU, the monotonic clock runs. `century_register`: FADT's, 0 = none.
void start_wall_clock(std::uint8_t century_register);

}  // namespace pv::boot
