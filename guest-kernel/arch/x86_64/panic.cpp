// Saying on the console what broke and where, then turning the machine off.
// SPDX-License-Identifier: MIT
#include "arch/x86_64/panic.hpp"

#include "arch/processor.hpp"
#include "arch/x86_64/back_trace.hpp"
#include "arch/x86_64/cpu.hpp"
#include "arch/x86_64/image.hpp"
#include "arch/x86_64/power.hpp"
#include "arch/x86_64/registers.hpp"
#include "arch/x86_64/stack.hpp"
#include "arch/x86_64/stop.hpp"
#include "base/log.hpp"
#include "base/panic.hpp"
#include "task/thread.hpp"

namespace pv::arch {
namespace {

// One line straight to the console, past the log's threshold and past a console lock this CPU may hold.
template <class... Args>
void say(format::String<std::type_identity_t<Args>...> format, const Args&... args) {
    std::array<char, log::line_max> buffer;
    log::console_write(format::to(buffer, format, args...), true);
}

// The first CPU tells; a second one, or a panic within the panic, only stops.
void begin() {
    disable_interrupts();
    Cpu& cpu = this_cpu();
    if (cpu.panicking) {
        log::console_write("panic: while panicking; giving up", true);
        power_off(panic_status);
    }
    cpu.panicking = true;
    if (!claim_the_end()) {
        wait_to_be_stopped();
    }
    // Before the first word: they may be in the middle of a line, or about to destroy the evidence.
    stop_other_cpus(How::at_once);
}

[[noreturn]] void finish(std::uint64_t first, std::uint64_t frame_pointer) {
    say("  in thread \"{}\" on CPU {}, {} after boot", task::current_name(), this_cpu().index,
        now().since_boot());
    say("  addresses: {:#x} from where they were linked", image_slide());
    say("  back trace:");
    print_back_trace(first, frame_pointer);
    print_stopped_cpus();
    power_off(panic_status);
}

void say_why_page_fault(const TrapFrame& frame, std::uint64_t address) {
    if (const auto stack = describe_guard_page(VirtualAddress(address))) {
        say("panic: stack overflow: {} of thread \"{}\" ran into its guard page at {:#x}", *stack,
            task::current_name(), address);
        return;
    }
    const std::string_view what = (frame.error_code & fault_fetch) != 0   ? "execution of"
                                  : (frame.error_code & fault_write) != 0 ? "write to"
                                                                          : "read from";
    say("panic: page fault: {} {:#x}{}, {}", what, address, address < page_size ? " (null pointer)" : "",
        (frame.error_code & fault_present) != 0 ? "not permitted" : "not mapped");
}

}  // namespace

void panic_at(const TrapFrame& frame, std::uint64_t address) {
    begin();
    if (frame.vector == vector_page_fault) {
        say_why_page_fault(frame, address);
    } else if (frame.vector == vector_double_fault && describe_guard_page(VirtualAddress(read_cr2()))) {
        // The push of the page fault's own frame ran into the guard page: CR2 still says where.
        say_why_page_fault(frame, read_cr2());
    } else {
        say("panic: {} (vector {}, error code {:#x})", exception_name(frame.vector), frame.vector,
            frame.error_code);
    }
    say("  at {}", Symbolised{frame.rip});
    say("  rip {:016x} rsp {:016x} rbp {:016x} rflags {:06x}", frame.rip, frame.rsp, frame.rbp, frame.rflags);
    say("  rax {:016x} rbx {:016x} rcx {:016x} rdx {:016x}", frame.rax, frame.rbx, frame.rcx, frame.rdx);
    say("  rsi {:016x} rdi {:016x} r8  {:016x} r9  {:016x}", frame.rsi, frame.rdi, frame.r8, frame.r9);
    say("  r10 {:016x} r11 {:016x} r12 {:016x} r13 {:016x}", frame.r10, frame.r11, frame.r12, frame.r13);
    say("  r14 {:016x} r15 {:016x} cr2 {:016x} cr3 {:016x}", frame.r14, frame.r15, read_cr2(), read_cr3());
    finish(frameless_caller(frame.rip, frame.rsp), frame.rbp);
}

}  // namespace pv::arch

namespace pv {

void panic_with(std::string_view format, std::span<const format::Argument> arguments,
                std::source_location where) {
    arch::begin();
    std::array<char, log::line_max> buffer;
    format::Writer writer(buffer);
    writer.put("panic: ");
    format::write_arguments(writer, format, arguments);
    log::console_write(writer.text(), true);
    arch::say("  at {}:{} in {}", where.file_name(), where.line(), where.function_name());
    arch::finish(0, reinterpret_cast<std::uintptr_t>(__builtin_frame_address(0)));
}

}  // namespace pv
