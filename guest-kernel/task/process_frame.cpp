// Signal frames, as Linux lays them out on x86-64 (arch/x86's rt_sigframe; asm/ucontext.h, asm/sigcontext.h).
// SPDX-License-Identifier: MIT
#include "task/process_frame.hpp"

#include <cstddef>
#include <cstring>

#include "arch/processor.hpp"
#include "arch/x86_64/descriptors.hpp"

namespace pv::task {
namespace {

/// As the kernel has it: the C library's ucontext_t begins alike and is longer.
struct Context {
    std::uint64_t uc_flags;
    std::uint64_t uc_link;
    stack_t uc_stack;
    sigcontext uc_mcontext;
    SignalSet uc_sigmask;
};

struct SignalFrame {
    std::uint64_t return_address;
    Context context;
    SignalInfo info;
};

static_assert(sizeof(Context) == 304 && sizeof(SignalInfo) == 128 && sizeof(SignalFrame) == 440);

constexpr std::uint64_t has_restorer = 0x0400'0000;  ///< SA_RESTORER, which the C library keeps to itself
constexpr std::uint64_t red_zone = 128;
constexpr std::uint64_t vectors_alignment = 64;
constexpr std::size_t software_bytes = 464;  ///< of FXSAVE's area, free for software
constexpr std::uint64_t flag_trap = 0x100;
constexpr std::uint64_t flag_direction = 0x400;
constexpr std::uint64_t flag_resume = 0x1'0000;

bool is_on_stack(const UserThread& self, std::uint64_t rsp) {
    return rsp > self.stack_base && rsp - self.stack_base <= self.stack_size;
}

bool write(std::uint64_t to, const void* from, std::size_t size) {
    return to < arch::user_end.value() && arch::user_end.value() - to >= size &&
           arch::copy_to_user(UserAddress(to), from, size) == 0;
}

bool read(void* to, std::uint64_t from, std::size_t size) {
    return from < arch::user_end.value() && arch::user_end.value() - from >= size &&
           arch::copy_from_user(to, UserAddress(from), size) == 0;
}

void save_registers(sigcontext& to, const arch::TrapFrame& frame) {
    to.r8 = frame.r8;
    to.r9 = frame.r9;
    to.r10 = frame.r10;
    to.r11 = frame.r11;
    to.r12 = frame.r12;
    to.r13 = frame.r13;
    to.r14 = frame.r14;
    to.r15 = frame.r15;
    to.rdi = frame.rdi;
    to.rsi = frame.rsi;
    to.rbp = frame.rbp;
    to.rbx = frame.rbx;
    to.rdx = frame.rdx;
    to.rax = frame.rax;
    to.rcx = frame.rcx;
    to.rsp = frame.rsp;
    to.rip = frame.rip;
    to.eflags = frame.rflags;
    to.cs = arch::user_code_selector;
    to.__pad0 = arch::user_data_selector;  // the C library has no name for where %ss is
    to.err = frame.vector < 32 ? frame.error_code : 0;
    to.trapno = frame.vector < 32 ? frame.vector : 0;
}

void restore_registers(arch::TrapFrame& frame, const sigcontext& from) {
    frame.r8 = from.r8;
    frame.r9 = from.r9;
    frame.r10 = from.r10;
    frame.r11 = from.r11;
    frame.r12 = from.r12;
    frame.r13 = from.r13;
    frame.r14 = from.r14;
    frame.r15 = from.r15;
    frame.rdi = from.rdi;
    frame.rsi = from.rsi;
    frame.rbp = from.rbp;
    frame.rbx = from.rbx;
    frame.rdx = from.rdx;
    frame.rax = from.rax;
    frame.rcx = from.rcx;
    frame.rsp = from.rsp;
    // IRETQ to an address that is none would fault in the kernel: such a program faults at the last page
    // instead.
    frame.rip = from.rip < arch::user_end.value() ? from.rip : arch::user_end.value() - 1;
    frame.rflags = (from.eflags & arch::user_flags) | arch::flag_interrupts | arch::flag_always;
    frame.cs = arch::user_code_selector;
    frame.ss = arch::user_data_selector;
}

// The vector registers below `top`, with what tells a program how long they are. 0 when it cannot be written.
std::uint64_t put_vectors(UserThread& self, std::uint64_t top) {
    const std::size_t size = arch::VectorState::size();
    constexpr std::uint32_t magic_end = FP_XSTATE_MAGIC2;
    const std::uint64_t at = (top - size - sizeof magic_end) & ~(vectors_alignment - 1);
    arch::save_vectors(self);
    _fpx_sw_bytes software{};
    software.magic1 = FP_XSTATE_MAGIC1;
    software.extended_size = static_cast<std::uint32_t>(size + sizeof magic_end);
    software.xstate_size = static_cast<std::uint32_t>(size);
    std::memcpy(&software.xstate_bv, self.vectors.bytes().data() + 512, size > 512 ? 8 : 0);
    if (!write(at, self.vectors.bytes().data(), size) ||
        !write(at + software_bytes, &software, sizeof software) ||
        !write(at + size, &magic_end, sizeof magic_end)) {
        return 0;
    }
    return at;
}

}  // namespace

bool build_signal_frame(UserThread& self, int signal, const SignalInfo& info, const SignalAction& action,
                        SignalSet before) {
    arch::TrapFrame& frame = arch::user_frame();
    std::uint64_t top = frame.rsp - red_zone;
    const bool has_stack = (self.stack_flags & SS_DISABLE) == 0 && self.stack_size != 0;
    if ((action.flags & SA_ONSTACK) != 0 && has_stack && !is_on_stack(self, frame.rsp)) {
        top = self.stack_base + self.stack_size;
    }
    if (top >= arch::user_end.value() || top < 2 * page_size) {
        return false;
    }
    const std::uint64_t vectors = put_vectors(self, top);
    const std::uint64_t at = ((vectors - sizeof(SignalFrame)) & ~std::uint64_t{15}) - 8;
    SignalFrame built{};
    built.return_address = action.restorer;
    built.context.uc_stack.ss_sp = reinterpret_cast<void*>(self.stack_base);
    built.context.uc_stack.ss_size = self.stack_size;
    built.context.uc_stack.ss_flags =
        has_stack ? (is_on_stack(self, frame.rsp) ? SS_ONSTACK : 0) : SS_DISABLE;
    constexpr std::uint64_t has_extended_state = 1;  // UC_FP_XSTATE
    constexpr std::uint64_t has_stack_selector = 2;  // UC_SIGCONTEXT_SS
    constexpr std::uint64_t strict_selector = 4;     // UC_STRICT_RESTORE_SS
    built.context.uc_flags = has_extended_state | has_stack_selector | strict_selector;
    save_registers(built.context.uc_mcontext, frame);
    built.context.uc_mcontext.fpstate = reinterpret_cast<_fpstate*>(vectors);
    built.context.uc_mcontext.oldmask = before;
    built.context.uc_sigmask = before;
    built.info = info;
    if (vectors == 0 || (action.flags & has_restorer) == 0 || !write(at, &built, sizeof built) ||
        action.handler >= arch::user_end.value()) {
        return false;
    }
    frame.rdi = static_cast<std::uint64_t>(signal);
    frame.rsi = at + offsetof(SignalFrame, info);
    frame.rdx = at + offsetof(SignalFrame, context);
    frame.rax = 0;
    frame.rsp = at;
    frame.rip = action.handler;
    frame.rflags &= ~(flag_trap | flag_direction | flag_resume);
    // Whatever it came by: all registers are to be as they stand here.
    frame.vector = 0;
    return true;
}

void return_from_signal(UserThread& self) {
    arch::TrapFrame& frame = arch::user_frame();
    SignalFrame built{};
    if (!read(&built, frame.rsp - sizeof built.return_address, sizeof built)) {
        force_signal(self, SIGSEGV, SI_KERNEL, 0);
        return;
    }
    const auto vectors = reinterpret_cast<std::uintptr_t>(built.context.uc_mcontext.fpstate);
    arch::VectorState given;
    bool good = static_cast<bool>(given.allocate());
    if (good && vectors != 0) {
        good = read(given.bytes().data(), vectors, given.bytes().size());
    }
    if (good) {
        const arch::InterruptsOff off;
        good = self.vectors.adopt(given.bytes());
        if (good) {
            arch::load_vectors(self);
        }
    }
    if (!good) {
        force_signal(self, SIGSEGV, SI_KERNEL, 0);
        return;
    }
    restore_registers(frame, built.context.uc_mcontext);
    frame.vector = 0;
    set_blocked(self, built.context.uc_sigmask);
    if (!is_on_stack(self, frame.rsp)) {
        self.stack_base = reinterpret_cast<std::uintptr_t>(built.context.uc_stack.ss_sp);
        self.stack_size = built.context.uc_stack.ss_size;
        self.stack_flags = (built.context.uc_stack.ss_flags & SS_DISABLE) != 0 ? SS_DISABLE : 0;
    }
}

}  // namespace pv::task
