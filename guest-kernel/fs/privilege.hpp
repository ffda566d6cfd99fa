// What the running program may, as a question: whoever knows programs answers. For what happens to an open
// file, where nobody's credentials are at hand.
// SPDX-License-Identifier: MIT
#pragma once

#include "base/capability.hpp"

namespace pv::fs {

/// Once, before there is a process; until then, and in the kernel's own threads, everything may be done.
void set_capability_check(bool (*check)(Capability));

[[nodiscard]] bool is_capable(Capability capability);

}  // namespace pv::fs
