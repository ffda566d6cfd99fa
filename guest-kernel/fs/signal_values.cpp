// Holds fs/signals.hpp to the header of the system-call interface, which goes with no other header.
// SPDX-License-Identifier: MIT
#include "fs/signals.hpp"

#include <asm/signal.h>

namespace pv::fs::signals {

static_assert(hang_up == SIGHUP && interrupt == SIGINT && quit == SIGQUIT && go_on == SIGCONT &&
              keyboard_stop == SIGTSTP && background_read == SIGTTIN && background_write == SIGTTOU &&
              window_change == SIGWINCH);

}  // namespace pv::fs::signals
