// Ctrl-C, SIGTERM and SIGHUP as something that can be waited for, so that every way out cleans up.
// SPDX-License-Identifier: MIT
#pragma once

#include "base/error.hpp"

namespace pv::cli {

/// From the first call on, SIGINT, SIGTERM and SIGHUP no longer end the process: they make fd() readable.
/// Idempotent; call it before starting threads or processes. A second signal of these is remembered too
/// (count()), so that a person who presses Ctrl-C twice gets the quick way out.
void catch_interrupts();

/// Readable (poll, POLLIN) once a signal came; it stays readable. -1 before catch_interrupts().
int interrupt_fd();

/// Signals seen so far. Safe from any thread, costs one relaxed load: made for polling in a loop or in
/// SQLite's progress handler.
int interrupt_count();

/// The signal that came first, 0 if none.
int interrupt_signal();

/// The error to return when work was given up because of the signal: status 128 + signal.
Error interrupted();

}  // namespace pv::cli
