// User mode: into it and out of it, and what of a thread the processor holds meanwhile.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "arch/x86_64/debug_registers.hpp"
#include "arch/x86_64/trap.hpp"
#include "arch/x86_64/user_tables.hpp"
#include "base/ref.hpp"
#include "base/result.hpp"

/// Intel SDM vol. 3 chapters 5.8.8 (SYSCALL and SYSRET) and 13 (XSAVE), AMD APM vol. 2 chapter 6.1.
namespace pv::arch {

struct Cpu;

/// The registers of x87, SSE and AVX as XSAVE lays them out (without it, FXSAVE).
class VectorState {
  public:
    VectorState() = default;
    VectorState(const VectorState&) = delete;
    VectorState& operator=(const VectorState&) = delete;
    ~VectorState();

    /// As a program finds them when it starts. Error: out_of_memory.
    Result<> allocate();
    /// Back to that state.
    void reset();

    /// Bytes, the same for all threads; 0 before start_user_mode.
    static std::size_t size();

    [[nodiscard]] std::span<std::byte> bytes() const { return {data_, size()}; }

    /// Takes what a program gave for its registers, where no bit of it can fault when it is loaded: false,
    /// and nothing changed, when one could.
    [[nodiscard]] bool adopt(std::span<const std::byte> from);

  private:
    std::byte* data_ = nullptr;
};

/// The processor's part of one thread of a program. Guarded by being that thread, or by its not running.
struct UserState {
    Ref<UserTables> tables;
    std::uint64_t fs_base = 0;  ///< while it runs, the processor may have others (save_bases)
    std::uint64_t gs_base = 0;
    VectorState vectors;
    std::uint64_t id = 0;            ///< unique for ever: whose the registers of a processor are
    std::uint32_t vectors_on = ~0U;  ///< the processor that has them since they were saved last
    DebugRegisters debug;
    bool is_held = false;  ///< the state is what counts, not the processor (hold_registers)
};

/// A number no UserState had before.
[[nodiscard]] std::uint64_t next_user_id();

/// Turns SYSCALL and the vector registers on, on this processor.
void start_user_mode();

/// The scheduler goes from one thread to another; nullptr: a thread of the kernel's own, which leaves what is
/// loaded as it is. Interrupts are off. `stack_top`: of the thread that comes.
void switch_user(Cpu& cpu, UserState* from, UserState* to, std::uint64_t stack_top);

/// Where a thread of the kernel's own runs: the kernel's tables replace those that the last program's thread
/// left, and nobody asks this CPU about them until one comes that uses them. True when they did, or had
/// before. Interrupts are off; takes no lock.
bool rest_tables();

/// The running thread's own state changes its tables: they are loaded at once.
void change_tables(UserState& self, Ref<UserTables> tables);
/// Takes the running thread's bases, which it may have changed itself, to its state.
void save_bases(UserState& self);
/// Gives the running thread these, in its state and in the processor at once: a switch in between would take
/// the old ones to its state again.
void set_bases(UserState& self, std::uint64_t fs, std::uint64_t gs);

/// Whether programs may read and set their bases themselves (FSGSBASE). The same on all processors.
[[nodiscard]] bool programs_set_bases();
/// Puts what the running thread's state says to watch into force.
void load_debug(UserState& self);
/// Writes the running thread's vector registers to its state, or loads them from there.
void save_vectors(UserState& self);
void load_vectors(UserState& self);
/// From here on the running thread's bases and vector registers are those of its state, which another thread
/// may change, its debug registers too: no switch takes the processor's to it, until it has them put back
/// into force.
void hold_registers(UserState& self);
void release_registers(UserState& self);

/// What the running program's x87 unit, or its vector unit, was stopped by: the exceptions that are raised
/// and not masked, bits as in the status word (SDM vol. 1, sections 8.1.3 and 10.2.3).
[[nodiscard]] std::uint32_t x87_exceptions();
[[nodiscard]] std::uint32_t vector_exceptions();

/// The running thread's; nullptr in one of the kernel's own. Any context.
[[nodiscard]] UserState* running_user();

/// The registers at the running thread's entry into the kernel, at the top of its stack.
[[nodiscard]] TrapFrame& user_frame();

/// The running thread, so far one of the kernel's own, becomes a program's: its memory can be reached.
void begin_user(UserState& self);
/// Such a thread goes to user mode for the first time with these registers. Nothing of its stack is used
/// again.
[[noreturn]] void enter_user_mode(const TrapFrame& frame);

/// The running thread becomes one of the kernel's own again, to end.
void leave_user_state();

[[nodiscard]] inline bool is_from_user(const TrapFrame& frame) {
    return (frame.cs & 3) != 0;
}

/// Whether the frame came by SYSCALL: vector is this, error_code is the number of the call.
inline constexpr std::uint64_t vector_system_call = 0x100;

/// What a program may set of its flags (Intel SDM vol. 1, 3.4.3): arithmetic ones, TF, DF, NT, AC, ID.
inline constexpr std::uint64_t user_flags = 0x0025'4dd5;
inline constexpr std::uint64_t flag_interrupts = 0x200;
inline constexpr std::uint64_t flag_always = 0x2;

}  // namespace pv::arch

namespace pv::arch {

// What memory of a program is reached through: with SMAP lifted for these functions alone, and every fault
// answered. Threads only, no spinlock held. The range lies below user_end (the caller checked).

/// Copies and returns how many bytes could not be copied.
[[nodiscard]] std::size_t copy_from_user(void* to, UserAddress from, std::size_t length);
[[nodiscard]] std::size_t copy_to_user(UserAddress to, const void* from, std::size_t length);

/// Compares and exchanges one aligned word. False when it could not be reached; `expected` becomes what was
/// there.
[[nodiscard]] bool compare_exchange_user(UserAddress at, std::uint32_t& expected, std::uint32_t desired);
/// Reads one aligned word. False when it could not be reached.
[[nodiscard]] bool load_user(UserAddress at, std::uint32_t& value);

/// Where a fault of one of them goes on, 0 when `rip` is in none. For the trap handler.
[[nodiscard]] std::uint64_t user_access_resume(std::uint64_t rip);

}  // namespace pv::arch
