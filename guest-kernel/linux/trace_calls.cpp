// ptrace(2), and reading another process's memory.
// SPDX-License-Identifier: MIT
#include <asm/prctl.h>
#include <asm/unistd.h>
#include <linux/audit.h>
#include <linux/elf.h>
#include <linux/ptrace.h>
#include <sys/user.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstring>
#include <optional>

#include "arch/x86_64/descriptors.hpp"
#include "linux/table.hpp"
#include "task/control_block.hpp"
#include "task/process_trace.hpp"

namespace pv::linux {
namespace {

using task::ProcessId;
using task::UserThread;

using Registers = user_regs_struct;
constexpr std::size_t register_count = sizeof(Registers) / sizeof(std::uint64_t);

arch::TrapFrame& frame_of(UserThread& stopped) {
    return *reinterpret_cast<arch::TrapFrame*>(stopped.control->stack.top - sizeof(arch::TrapFrame));
}

bool is_in_call(const UserThread& thread, const arch::TrapFrame& frame) {
    return frame.vector == arch::vector_system_call || thread.trace.stop == task::TraceStop::call_entry ||
           thread.trace.stop == task::TraceStop::call_exit;
}

Registers registers_of(UserThread& thread) {
    const arch::TrapFrame& frame = frame_of(thread);
    Registers to{};
    to.r15 = frame.r15;
    to.r14 = frame.r14;
    to.r13 = frame.r13;
    to.r12 = frame.r12;
    to.rbp = frame.rbp;
    to.rbx = frame.rbx;
    to.r11 = frame.r11;
    to.r10 = frame.r10;
    to.r9 = frame.r9;
    to.r8 = frame.r8;
    to.rax = frame.rax;
    to.rcx = frame.rcx;
    to.rdx = frame.rdx;
    to.rsi = frame.rsi;
    to.rdi = frame.rdi;
    to.orig_rax = is_in_call(thread, frame) ? frame.error_code : ~0ULL;
    to.rip = frame.rip;
    to.cs = arch::user_code_selector;
    to.eflags = frame.rflags;
    to.rsp = frame.rsp;
    to.ss = arch::user_data_selector;
    to.fs_base = thread.fs_base;
    to.gs_base = thread.gs_base;
    return to;
}

// What would take the kernel elsewhere than to user mode is refused. Error: eio.
Outcome<> set_registers(UserThread& thread, const Registers& from) {
    constexpr std::uint64_t end = arch::user_end.value();
    if (from.rip >= end || from.fs_base >= end || from.gs_base >= end ||
        from.cs != arch::user_code_selector || from.ss != arch::user_data_selector) {
        return fail(Errno::eio);
    }
    arch::TrapFrame& frame = frame_of(thread);
    frame.r15 = from.r15;
    frame.r14 = from.r14;
    frame.r13 = from.r13;
    frame.r12 = from.r12;
    frame.rbp = from.rbp;
    frame.rbx = from.rbx;
    frame.r11 = from.r11;
    frame.r10 = from.r10;
    frame.r9 = from.r9;
    frame.r8 = from.r8;
    frame.rax = from.rax;
    frame.rcx = from.rcx;
    frame.rdx = from.rdx;
    frame.rsi = from.rsi;
    frame.rdi = from.rdi;
    frame.rip = from.rip;
    frame.rflags = (from.eflags & arch::user_flags) | arch::flag_interrupts | arch::flag_always;
    frame.rsp = from.rsp;
    if (is_in_call(thread, frame)) {
        frame.error_code = from.orig_rax;
    }
    if (thread.trace.stop != task::TraceStop::call_entry) {
        frame.vector = 0;  // all registers are to be as they stand here
    }
    thread.fs_base = from.fs_base;
    thread.gs_base = from.gs_base;
    return {};
}

Outcome<std::uint64_t> read_word(UserThread& thread, UserAddress at) {
    std::uint64_t word = 0;
    if (!thread.process().space->peek(fs::writable_bytes_of(word), at)) {
        return fail(Errno::eio);
    }
    return word;
}

// Which of u_debugreg an offset into struct user is, if any.
std::optional<std::size_t> debug_register(std::uint64_t offset) {
    constexpr std::size_t begin = offsetof(struct user, u_debugreg);
    if (offset < begin || offset >= begin + sizeof(user::u_debugreg)) {
        return std::nullopt;
    }
    return (offset - begin) / 8;
}

constexpr std::size_t debug_status = 6;
constexpr std::size_t debug_control = 7;

std::uint64_t read_debug(const UserThread& thread, std::size_t number) {
    switch (number) {
        case debug_status:
            return thread.debug.status();
        case debug_control:
            return thread.debug.control();
        default:
            return number < arch::DebugRegisters::count ? thread.debug.address(number) : 0;
    }
}

Outcome<> write_debug(UserThread& thread, std::size_t number, std::uint64_t value) {
    switch (number) {
        case debug_status:
            thread.debug.set_status(value);
            return {};
        case debug_control:
            return thread.debug.set_control(value) ? Outcome<>{} : fail(Errno::einval);
        default:
            if (number >= arch::DebugRegisters::count) {
                return fail(Errno::eio);
            }
            return thread.debug.set_address(number, value) ? Outcome<>{} : fail(Errno::einval);
    }
}

// Of struct user the registers are kept; the rest reads as zero, and is not written.
Outcome<std::uint64_t> read_user(UserThread& thread, std::uint64_t offset) {
    if (offset % 8 != 0 || offset >= sizeof(struct user)) {
        return fail(Errno::eio);
    }
    if (const auto number = debug_register(offset)) {
        return read_debug(thread, *number);
    }
    if (offset >= sizeof(Registers)) {
        return 0;
    }
    const Registers all = registers_of(thread);
    std::array<std::uint64_t, register_count> words{};
    std::memcpy(words.data(), &all, sizeof all);
    return words[offset / 8];
}

Outcome<> write_user(UserThread& thread, std::uint64_t offset, std::uint64_t value) {
    if (offset % 8 != 0 || offset >= sizeof(struct user)) {
        return fail(Errno::eio);
    }
    if (const auto number = debug_register(offset)) {
        return write_debug(thread, *number, value);
    }
    if (offset >= sizeof(Registers)) {
        return fail(Errno::eio);
    }
    Registers all = registers_of(thread);
    std::memcpy(reinterpret_cast<char*>(&all) + offset, &value, sizeof value);
    return set_registers(thread, all);
}

struct Piece {
    std::uint64_t address;
    std::uint64_t length;
};

// PTRACE_GETREGSET and PTRACE_SETREGSET: as much as there is room for; the length is told.
Value register_set(UserThread& thread, std::uint64_t which, UserPointer<Piece> where, bool set) {
    Piece piece = PV_TRY(where.read());
    const UserAddress at(piece.address);
    if (which == NT_PRSTATUS) {
        Registers all = registers_of(thread);
        piece.length = std::min<std::uint64_t>(piece.length, sizeof all) / 8 * 8;
        if (set) {
            PV_TRY(copy_in(std::as_writable_bytes(std::span(&all, 1)).first(piece.length), at));
            PV_TRY(set_registers(thread, all));
        } else {
            PV_TRY(copy_out(at, std::as_bytes(std::span(&all, 1)).first(piece.length)));
        }
    } else if (which == NT_X86_XSTATE || which == NT_PRFPREG) {
        const std::size_t most = which == NT_PRFPREG ? sizeof(user_fpregs_struct) : arch::VectorState::size();
        piece.length = std::min<std::uint64_t>(piece.length, most);
        if (set) {
            arch::VectorState fresh;
            PV_TRY(as_outcome(fresh.allocate()));
            std::memcpy(fresh.bytes().data(), thread.vectors.bytes().data(), fresh.bytes().size());
            PV_TRY(copy_in(fresh.bytes().first(piece.length), at));
            if (!thread.vectors.adopt(fresh.bytes())) {
                return fail(Errno::einval);
            }
        } else {
            PV_TRY(copy_out(at, thread.vectors.bytes().first(piece.length)));
        }
    } else {
        return fail(Errno::einval);
    }
    PV_TRY(where.write(piece));
    return 0;
}

Value call_info(UserThread& thread, std::uint64_t size, UserAddress to) {
    const arch::TrapFrame& frame = frame_of(thread);
    ptrace_syscall_info info{};
    info.arch = AUDIT_ARCH_X86_64;
    info.instruction_pointer = frame.rip;
    info.stack_pointer = frame.rsp;
    std::size_t used = offsetof(ptrace_syscall_info, entry);
    if (thread.trace.stop == task::TraceStop::call_entry) {
        info.op = PTRACE_SYSCALL_INFO_ENTRY;
        info.entry.nr = frame.error_code;
        const std::array<std::uint64_t, 6> arguments{frame.rdi, frame.rsi, frame.rdx,
                                                     frame.r10, frame.r8,  frame.r9};
        std::copy(arguments.begin(), arguments.end(), std::begin(info.entry.args));
        used = offsetof(ptrace_syscall_info, entry) + sizeof info.entry;
    } else if (thread.trace.stop == task::TraceStop::call_exit) {
        constexpr std::uint64_t errors = static_cast<std::uint64_t>(-4095);
        info.op = PTRACE_SYSCALL_INFO_EXIT;
        info.exit.rval = static_cast<std::int64_t>(frame.rax);
        info.exit.is_error = frame.rax >= errors ? 1 : 0;
        used = offsetof(ptrace_syscall_info, exit) + offsetof(ptrace_syscall_info, exit.is_error) -
               offsetof(ptrace_syscall_info, exit) + 1;
    }
    PV_TRY(copy_out(to, std::as_bytes(std::span(&info, 1)).first(std::min<std::uint64_t>(size, used))));
    return used;
}

Value set_options(UserThread& thread, std::uint64_t options) {
    if ((options & ~std::uint64_t{PTRACE_O_MASK}) != 0) {
        return fail(Errno::einval);
    }
    const task::SpinGuard guard(task::tree_lock());
    thread.trace.options = static_cast<std::uint32_t>(options);
    return 0;
}

// PTRACE_ARCH_PRCTL: the bases of segments, as arch_prctl has them; gdbserver finds threads by them.
Value segment_base(UserThread& thread, std::uint64_t code, std::uint64_t address) {
    Registers all = registers_of(thread);
    switch (code) {
        case ARCH_GET_FS:
            return done(UserPointer<std::uint64_t>(address).write(all.fs_base));
        case ARCH_GET_GS:
            return done(UserPointer<std::uint64_t>(address).write(all.gs_base));
        case ARCH_SET_FS:
        case ARCH_SET_GS:
            if (address >= arch::user_end.value()) {
                return fail(Errno::eperm);
            }
            (code == ARCH_SET_FS ? all.fs_base : all.gs_base) = address;
            return done(set_registers(thread, all));
        default:
            return fail(Errno::einval);
    }
}

// What a stopped thread is asked or told.
Value on_stopped(Call& call, UserThread& thread, std::uint64_t request, std::uint64_t address,
                 std::uint64_t data) {
    const auto go_on = [&](task::TraceResume how) {
        return done(task::resume(thread, how, static_cast<int>(std::min<std::uint64_t>(data, 1000))));
    };
    switch (request) {
        case PTRACE_PEEKTEXT:
        case PTRACE_PEEKDATA:
            return done(
                UserPointer<std::uint64_t>(data).write(PV_TRY(read_word(thread, UserAddress(address)))));
        case PTRACE_PEEKUSR:
            return done(UserPointer<std::uint64_t>(data).write(PV_TRY(read_user(thread, address))));
        case PTRACE_POKETEXT:
        case PTRACE_POKEDATA:
            return thread.process().space->poke(UserAddress(address), fs::bytes_of(data))
                       ? Value(0)
                       : Value(fail(Errno::eio));
        case PTRACE_POKEUSR:
            return done(write_user(thread, address, data));
        case PTRACE_GETREGS:
            return done(UserPointer<Registers>(data).write(registers_of(thread)));
        case PTRACE_SETREGS:
            return done(set_registers(thread, PV_TRY(UserPointer<const Registers>(data).read())));
        case PTRACE_GETFPREGS:
            return done(
                copy_out(UserAddress(data), thread.vectors.bytes().first(sizeof(user_fpregs_struct))));
        case PTRACE_ARCH_PRCTL:
            return segment_base(thread, data, address);
        case PTRACE_GETREGSET:
            return register_set(thread, address, UserPointer<Piece>(data), false);
        case PTRACE_SETREGSET:
            return register_set(thread, address, UserPointer<Piece>(data), true);
        case PTRACE_GETSIGINFO:
            return done(UserPointer<task::SignalInfo>(data).write(thread.trace.info));
        case PTRACE_SETSIGINFO:
            thread.trace.info = PV_TRY(UserPointer<const task::SignalInfo>(data).read());
            return 0;
        case PTRACE_GETEVENTMSG:
            return done(UserPointer<std::uint64_t>(data).write(thread.trace.message));
        case PTRACE_GET_SYSCALL_INFO:
            return call_info(thread, address, UserAddress(data));
        case PTRACE_GETSIGMASK:
            return address != sizeof(task::SignalSet) ? Value(fail(Errno::einval))
                                                      : done(UserPointer<task::SignalSet>(data).write(
                                                            thread.blocked.load(std::memory_order_seq_cst)));
        case PTRACE_SETSIGMASK:
            if (address != sizeof(task::SignalSet)) {
                return fail(Errno::einval);
            }
            thread.blocked.store(PV_TRY(UserPointer<const task::SignalSet>(data).read()) & ~task::unstoppable,
                                 std::memory_order_seq_cst);
            thread.add_work(task::Work::signal);
            return 0;
        case PTRACE_SETOPTIONS:
            return set_options(thread, data);
        case PTRACE_CONT:
            return go_on(task::TraceResume::go_on);
        case PTRACE_SYSCALL:
            return go_on(task::TraceResume::to_call);
        case PTRACE_SINGLESTEP:
            return go_on(task::TraceResume::one_step);
        case PTRACE_LISTEN:
            data = 0;
            return go_on(task::TraceResume::listen);
        case PTRACE_DETACH:
            return done(task::detach(thread, static_cast<int>(std::min<std::uint64_t>(data, 1000))));
        default:
            static_cast<void>(call);
            return fail(Errno::eio);
    }
}

Value ptrace(Call& call, std::uint64_t request, ProcessId id, std::uint64_t address, std::uint64_t data) {
    switch (request) {
        case PTRACE_TRACEME:
            return done(task::trace_me(call.thread));
        case PTRACE_ATTACH:
            return done(task::attach(call.thread, id, false, 0));
        case PTRACE_SEIZE:
            return address != 0 || data > ~0U
                       ? Value(fail(Errno::eio))
                       : done(task::attach(call.thread, id, true, static_cast<std::uint32_t>(data)));
        case PTRACE_INTERRUPT:
            return done(task::interrupt(call.process(), id));
        case PTRACE_KILL: {
            const auto thread = task::stopped_tracee(call.process(), id);
            if (thread) {
                task::send_signal((**thread).process(), SIGKILL,
                                  task::make_info(SIGKILL, SI_USER, call.thread));
            }
            return 0;
        }
        default: {
            const task::HeldTracee thread = PV_TRY(task::stopped_tracee(call.process(), id));
            return on_stopped(call, *thread, request, address, data);
        }
    }
}

constexpr std::uint64_t vectors_max = 1024;

// Reads what another process has at several places into several of the caller's own.
Value process_vm_readv(Call& call, ProcessId id, UserPointer<const Piece> own, std::uint64_t own_count,
                       UserPointer<const Piece> others, std::uint64_t others_count, std::uint64_t flags) {
    if (flags != 0 || own_count > vectors_max || others_count > vectors_max) {
        return fail(Errno::einval);
    }
    Ref<memory::AddressSpace> space;
    {
        const task::SpinGuard guard(task::tree_lock());
        UserThread* thread = task::find_thread(id);
        if (thread == nullptr || thread->process().space == nullptr) {
            return fail(Errno::esrch);
        }
        if (!task::may_look_into(call.thread, *thread, task::Identity::By::real)) {
            return fail(Errno::eperm);
        }
        space = thread->process().space;
    }
    std::uint64_t moved = 0;
    std::uint64_t at = 0;
    Piece to{};
    std::array<std::byte, 512> room{};
    for (std::uint64_t i = 0; i < others_count; ++i) {
        Piece from = PV_TRY((others + i).read());
        while (from.length != 0) {
            while (to.length == 0) {
                if (at == own_count) {
                    return moved;
                }
                to = PV_TRY((own + at++).read());
            }
            const std::size_t size = std::min<std::uint64_t>(
                {from.length, to.length, room.size(), page_size - from.address % page_size});
            if (!space->peek(std::span(room).first(size), UserAddress(from.address)) ||
                !copy_out(UserAddress(to.address), std::span(room).first(size))) {
                return moved != 0 ? Value(moved) : Value(fail(Errno::efault));
            }
            from = {from.address + size, from.length - size};
            to = {to.address + size, to.length - size};
            moved += size;
        }
    }
    return moved;
}

constexpr Entry entries[] = {
    {__NR_ptrace, "ptrace", handler_of<ptrace>, Support::partial,
     "no seccomp stops; groups of threads share one tracer's process"},
    {__NR_process_vm_readv, "process_vm_readv", handler_of<process_vm_readv>, Support::partial,
     "pages that may not be read are read all the same"},
};

}  // namespace

constinit const std::span<const Entry> trace_calls = entries;

}  // namespace pv::linux
