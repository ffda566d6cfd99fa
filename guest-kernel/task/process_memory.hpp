// What happens when memory for programs runs out: who ends, so that the others go on.
// SPDX-License-Identifier: MIT
#pragma once

#include "base/time.hpp"
#include "task/process.hpp"

namespace pv::task {

/// Called by a thread whose fault found no memory, with no lock but files' and devices'. THE RULE: of all
/// processes but the first, the one with most pages in memory ends by SIGKILL; of several the one with the
/// highest number. The console says who, with how much, and for whom. While that one is on its way out no
/// other is chosen. True: it may try again. False: it is itself the one, or `patience` has passed without
/// anything becoming free.
[[nodiscard]] bool make_room(UserThread& self, Duration patience);

}  // namespace pv::task
