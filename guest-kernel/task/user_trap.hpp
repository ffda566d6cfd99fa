// What the trap handler asks of programs' threads.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>

namespace pv::arch {
struct TrapFrame;
}

namespace pv::task {

/// An exception in user mode: a page is brought in, or the thread gets a signal. Interrupts are on.
void handle_exception(arch::TrapFrame& frame, std::uint64_t address);

/// A fault of the kernel itself while it copies from or to the running program's memory: true when the page
/// is there now. Interrupts are on, no spinlock is held.
[[nodiscard]] bool resolve_page_fault(std::uint64_t address, std::uint64_t error_code);

/// Last thing before user mode: does what others asked of the running thread meanwhile - signals, its end.
/// May not return. Interrupts are off when it does; nothing is asked then.
void before_user_mode();

}  // namespace pv::task
