// The first program: from the initramfs to its end.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>

namespace pv::linux {

/// Unpacks the initramfs the loader brought, starts its `/init` (or what `init=` names; what follows `--` on
/// the command line are its arguments) with the console as descriptors 0 to 2, and waits for its end. Returns
/// its status: the program's own, or 128 + the signal that ended it; 127 when it could not be started. There
/// is an initramfs.
[[nodiscard]] std::uint32_t run_first_program();

}  // namespace pv::linux
