// What exceptions do to a program, and its last step before user mode.
// SPDX-License-Identifier: MIT
#include "arch/processor.hpp"
#include "arch/x86_64/trap.hpp"
#include "arch/x86_64/user_mode.hpp"
#include "base/log.hpp"
#include "task/process.hpp"
#include "task/process_memory.hpp"
#include "task/user_trap.hpp"

namespace pv::task {
namespace {

/// How long a program waits for memory until it ends itself, and one in a call, which may hold a lock that
/// another one's end needs, until the call fails.
constexpr Duration user_patience = Duration::seconds(10);
constexpr Duration kernel_patience = Duration::seconds(1);

struct Fatal {
    int signal;
    int code;
};

// Of several the one Linux tells.
int code_of(std::uint32_t float_exceptions) {
    constexpr std::uint32_t invalid = 0x01, denormal = 0x02, division = 0x04, overflow = 0x08,
                            underflow = 0x10, inexact = 0x20;
    const auto has = [&](std::uint32_t which) { return (float_exceptions & which) != 0; };
    return has(invalid)                ? FPE_FLTINV
           : has(division)             ? FPE_FLTDIV
           : has(overflow)             ? FPE_FLTOVF
           : has(underflow | denormal) ? FPE_FLTUND
           : has(inexact)              ? FPE_FLTRES
                                       : FPE_FLTUNK;
}

int code_of(const arch::DebugRegisters& told) {
    // Neither: an INT1 of the program's.
    return told.tells_step() ? TRAP_TRACE : told.tells_watched() ? TRAP_HWBKPT : TRAP_BRKPT;
}

Fatal signal_of(const UserThread& self, std::uint64_t vector) {
    switch (vector) {
        case 0:
            return {SIGFPE, FPE_INTDIV};
        case arch::vector_debug:
            return {SIGTRAP, code_of(self.debug)};
        case arch::vector_breakpoint:
            return {SIGTRAP, SI_KERNEL};
        case arch::vector_invalid_opcode:
            return {SIGILL, ILL_ILLOPN};
        case 11:
        case 12:
            return {SIGBUS, SI_KERNEL};
        case 16:
            return {SIGFPE, code_of(arch::x87_exceptions())};
        case 19:
            return {SIGFPE, code_of(arch::vector_exceptions())};
        case 17:
            return {SIGBUS, BUS_ADRALN};
        default:
            return {SIGSEGV, SI_KERNEL};
    }
}

memory::Resolution resolve(UserThread& self, std::uint64_t address, std::uint64_t error_code) {
    const auto access = (error_code & arch::fault_fetch) != 0   ? memory::UserAccess::fetch
                        : (error_code & arch::fault_write) != 0 ? memory::UserAccess::write
                                                                : memory::UserAccess::read;
    const memory::Resolution done = self.process().space->resolve(UserAddress(address), access);
    if (done == memory::Resolution::resolved) {
        self.faults.store(self.faults.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
    }
    return done;
}

void handle_page_fault(UserThread& self, std::uint64_t address, std::uint64_t error_code) {
    switch (resolve(self, address, error_code)) {
        case memory::Resolution::resolved:
            return;
        case memory::Resolution::unmapped:
            force_signal(self, SIGSEGV, SEGV_MAPERR, address);
            return;
        case memory::Resolution::denied:
            force_signal(self, SIGSEGV, SEGV_ACCERR, address);
            return;
        case memory::Resolution::beyond_source:
            force_signal(self, SIGBUS, BUS_ADRERR, address);
            return;
        case memory::Resolution::out_of_memory:
            if (!make_room(self, user_patience)) {
                exit_process(self, SIGKILL);
            }
            return;
    }
}

}  // namespace

void handle_exception(arch::TrapFrame& frame, std::uint64_t address) {
    UserThread& self = UserThread::current();
    if (frame.vector == arch::vector_page_fault) {
        handle_page_fault(self, address, frame.error_code);
        return;
    }
    const Fatal fatal = signal_of(self, frame.vector);
    force_signal(self, fatal.signal, fatal.code, fatal.code == SI_KERNEL ? 0 : frame.rip);
}

bool resolve_page_fault(std::uint64_t address, std::uint64_t error_code) {
    UserThread* self = UserThread::current_or_null();
    if (self == nullptr || self->process().space == nullptr) {
        return false;
    }
    memory::Resolution done = resolve(*self, address, error_code);
    while (done == memory::Resolution::out_of_memory && make_room(*self, kernel_patience)) {
        done = resolve(*self, address, error_code);
    }
    return done == memory::Resolution::resolved;
}

void before_user_mode() {
    UserThread& self = UserThread::current();
    arch::disable_interrupts();
    while (self.has_work()) {
        arch::restore_interrupts(true);
        deliver_signals(self);
        arch::disable_interrupts();
    }
}

}  // namespace pv::task
