// The processor's debug registers, as one thread of a program has them from its tracer.
// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

/// Intel SDM vol. 3 chapter 18.2, AMD APM vol. 2 chapter 13.1.
///
/// What is watched lies in the user half alone. The kernel reaches it where it copies from and to a program's
/// memory and nowhere else: not in the code of its entries and exits, not for NMI, machine check or double
/// fault. So DR7 stays as it is while the kernel runs. A debug exception comes in kernel mode only in a copy,
/// or right behind an instruction that enters the kernel in the shadow of a MOV to SS whose operand is
/// watched: there %gs and, with SYSCALL, %rsp are still the program's. Hence its own stack and way to %gs
/// (trap.S).
///
/// QEMU without KVM knows no such shadow, but tells a step and a watched address of one instruction by two
/// exceptions, the second one at the first instruction of the first one's handler. On a stack of their own it
/// would lie over the first: there they have the thread's.
namespace pv::arch {

struct Cpu;
struct TrapFrame;

/// Guarded by being that thread, or by its not running.
class DebugRegisters {
  public:
    static constexpr std::size_t count = 4;  ///< of addresses
    /// Bits of the status that are set where nothing is told.
    static constexpr std::uint64_t status_reserved = 0xffff'0ff0;

    /// DR0 to DR3. `number` is below count.
    [[nodiscard]] std::uint64_t address(std::size_t number) const { return addresses_[number]; }

    /// DR7 as it was set.
    [[nodiscard]] std::uint64_t control() const { return control_; }

    /// DR6: what the last debug exception in user mode told, or what was set since.
    [[nodiscard]] std::uint64_t status() const { return status_; }

    void set_status(std::uint64_t status) { status_ = status; }

    /// False, and nothing changes, where memory is not user memory, ports are watched, an instruction is
    /// longer than a byte or an address is no multiple of its length.
    [[nodiscard]] bool set_address(std::size_t number, std::uint64_t address);
    [[nodiscard]] bool set_control(std::uint64_t control);

    /// What DR7 is while the thread runs; 0: nothing is watched.
    [[nodiscard]] std::uint64_t in_force() const { return in_force_; }

    [[nodiscard]] bool tells_step() const;
    [[nodiscard]] bool tells_watched() const;

  private:
    friend void load_debug_registers(Cpu& cpu, const DebugRegisters& of);
    friend bool meet_debug_exception(TrapFrame& frame);

    void note(std::uint64_t status, TrapFrame& frame);

    std::array<std::uint64_t, count> addresses_{};
    std::uint64_t control_ = 0;
    std::uint64_t in_force_ = 0;
    std::uint64_t status_ = status_reserved;
};

/// Puts them into force on this processor, whatever it has. Interrupts are off.
void load_debug_registers(Cpu& cpu, const DebugRegisters& of);

/// Whether this is such a processor. Nothing but CPUID is asked.
[[nodiscard]] bool debug_exceptions_nest();

/// First thing at a debug exception, interrupts still off: one of user mode is noted with its thread. One of
/// the kernel's own is over with that (true): what a call reads or writes stops nobody, as on Linux.
[[nodiscard]] bool meet_debug_exception(TrapFrame& frame);

}  // namespace pv::arch
