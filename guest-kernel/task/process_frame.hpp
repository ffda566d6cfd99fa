// The frame on a program's stack that a signal's handler runs on.
// SPDX-License-Identifier: MIT
#pragma once

#include "task/process.hpp"

namespace pv::task {

/// Builds it and sets the registers so that the handler runs next; `before` is the mask that rt_sigreturn
/// restores. False when the stack cannot be written.
[[nodiscard]] bool build_signal_frame(UserThread& self, int signal, const SignalInfo& info,
                                      const SignalAction& action, SignalSet before);

}  // namespace pv::task
