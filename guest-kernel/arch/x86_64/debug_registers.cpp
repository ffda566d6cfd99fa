// The processor's debug registers: what may be set, and what their exception tells.
// SPDX-License-Identifier: MIT
#include "arch/x86_64/debug_registers.hpp"

#include "arch/x86_64/cpu.hpp"
#include "arch/x86_64/registers.hpp"
#include "arch/x86_64/user_mode.hpp"

extern "C" const char pv_trap_stubs[];

namespace pv::arch {
namespace {

constexpr std::uint64_t told_step = 1U << 14;  // BS
constexpr std::uint64_t told_watched = 0xf;    // B0 to B3
constexpr std::uint64_t flag_trap = 0x100;
constexpr std::uint64_t flag_resume = 0x1'0000;

/// Of DR7.
enum class Kind : std::uint8_t { instruction, write, port, access };

bool is_on(std::uint64_t control, std::size_t number) {
    return (control >> 2 * number & 3) != 0;  // locally or globally: there is one task
}

std::uint64_t fields(std::uint64_t control, std::size_t number) {
    return control >> (16 + 4 * number) & 0xf;
}

Kind kind(std::uint64_t control, std::size_t number) {
    return static_cast<Kind>(fields(control, number) & 3);
}

std::uint64_t length(std::uint64_t control, std::size_t number) {
    constexpr std::array<std::uint64_t, 4> lengths{1, 2, 8, 4};
    return lengths[fields(control, number) >> 2];
}

bool may_be(std::uint64_t address, std::uint64_t control, std::size_t number) {
    const std::uint64_t bytes = is_on(control, number) ? length(control, number) : 1;
    if (address >= user_end.value() || user_end.value() - address < bytes) {
        return false;
    }
    if (!is_on(control, number)) {
        return true;
    }
    const Kind what = kind(control, number);
    return address % bytes == 0 && what != Kind::port && (what != Kind::instruction || bytes == 1);
}

}  // namespace

bool DebugRegisters::set_address(std::size_t number, std::uint64_t address) {
    if (!may_be(address, control_, number)) {
        return false;
    }
    addresses_[number] = address;
    return true;
}

bool DebugRegisters::set_control(std::uint64_t control) {
    std::uint64_t used = 0;
    for (std::size_t i = 0; i < count; ++i) {
        if (!may_be(addresses_[i], control, i)) {
            return false;
        }
        if (is_on(control, i)) {
            used |= std::uint64_t{1} << 2 * i | fields(control, i) << (16 + 4 * i);
        }
    }
    control_ = control;
    in_force_ = used;
    return true;
}

bool DebugRegisters::tells_step() const {
    return (status_ & told_step) != 0;
}

bool DebugRegisters::tells_watched() const {
    return (status_ & told_watched) != 0;
}

void DebugRegisters::note(std::uint64_t status, TrapFrame& frame) {
    std::uint64_t told = status & told_step;
    for (std::size_t i = 0; i < count; ++i) {
        // The processor may tell of an address that is off, too.
        if ((status >> i & 1) != 0 && is_on(in_force_, i)) {
            told |= std::uint64_t{1} << i;
            // It comes before the instruction, and is not to come again when that is carried out.
            frame.rflags |= kind(in_force_, i) == Kind::instruction ? flag_resume : 0;
        }
    }
    status_ = status_reserved | told;
}

void load_debug_registers(Cpu& cpu, const DebugRegisters& of) {
    // Read once: a thread that is held may run to see whether it may go on, while its tracer changes them.
    // What it has then is replaced when it goes on.
    const std::uint64_t control = of.in_force_;
    // Off first: no address is ever in force with another's length.
    write_dr7(0);
    cpu.user.debug_control = control;
    if (control != 0) {
        write_dr0(of.addresses_[0]);
        write_dr1(of.addresses_[1]);
        write_dr2(of.addresses_[2]);
        write_dr3(of.addresses_[3]);
        write_dr7(control);
    }
}

bool debug_exceptions_nest() {
    if ((cpuid(1).ecx & 1U << 31) == 0) {
        return false;
    }
    const Cpuid r = cpuid(0x4000'0000);
    return r.ebx == 0x5447'4354 && r.ecx == 0x4354'4743 && r.edx == 0x4743'5447;  // "TCGTCGTCGTCG"
}

bool meet_debug_exception(TrapFrame& frame) {
    // The first instruction of this exception's own entry.
    const bool is_nested =
        frame.rip == reinterpret_cast<std::uintptr_t>(pv_trap_stubs) + vector_debug * stub_size;
    const bool is_over_another = frame.rsp == reinterpret_cast<std::uintptr_t>(&frame.rip);
    if (is_nested && !is_over_another) {
        return true;  // the one it interrupted tells both
    }
    const std::uint64_t status = read_dr6();
    write_dr6(DebugRegisters::status_reserved);  // the processor only ever adds to it
    if (is_from_user(frame)) {
        running_user()->debug.note(status, frame);
        return false;
    }
    if (is_nested) {
        // Where the program was is lost: what is left of it goes on nowhere, and is told so by a fault.
        frame.rip = frame.rsp = 0;
        frame.cs = user_code_selector;
        frame.ss = user_data_selector;
        frame.rflags = flag_interrupts | flag_always;
    }
    // Nothing of the kernel's steps.
    frame.rflags &= ~flag_trap;
    return true;
}

}  // namespace pv::arch
