// A thread's birth and death, between thread.cpp and the scheduler.
// SPDX-License-Identifier: MIT
#pragma once

#include <string_view>

#include "task/control_block.hpp"

namespace pv::task {

void set_name(ControlBlock& block, std::string_view name);

/// The stack of an ended thread, and its block unless its handle is still held. Any context.
void bury(ControlBlock& block);

/// Ends the running thread, wherever it is: nothing on its stack is destroyed.
[[noreturn]] void end_thread();

}  // namespace pv::task
