// Stopping the other CPUs, and asking one where it is.
// SPDX-License-Identifier: MIT
#pragma once

#include "arch/x86_64/cpu.hpp"
#include "arch/x86_64/trap.hpp"
#include "base/time.hpp"

namespace pv::arch {

enum class How : std::uint8_t {
    when_ready,  ///< outside critical sections: by an interrupt, and by NMI only who does not take it
    at_once,     ///< by NMI, wherever they are
};

/// True for the first CPU that asks, ever: it ends the machine. Any context.
[[nodiscard]] bool claim_the_end();

/// Halts the calling CPU until the one that ends the machine has done so; it still answers NMIs.
[[noreturn]] void wait_to_be_stopped();

/// Halts all other CPUs for good. Waits half a second at most for each way of asking. Interrupts are off.
void stop_other_cpus(How how);

/// After stop_other_cpus(at_once): where each of them was, on the console, or that it did not answer.
void print_stopped_cpus();

/// Asks `cpu`, another one, by NMI where it is: cpu.stop then tells. False when it did not answer in time.
/// Any context but NMI; one asker at a time.
[[nodiscard]] bool ask_where(Cpu& cpu, Duration patience);

/// For trap handling: answers an NMI that another CPU sent. False when none did.
[[nodiscard]] bool answer_nmi(const TrapFrame& frame);
/// For trap handling: the stop interrupt.
[[noreturn]] void stop_here();

}  // namespace pv::arch
