// The local APIC.
// SPDX-License-Identifier: MIT
#include "arch/x86_64/local_apic.hpp"

#include "arch/processor.hpp"
#include "arch/x86_64/clock.hpp"
#include "arch/x86_64/cpu.hpp"
#include "arch/x86_64/registers.hpp"
#include "arch/x86_64/trap.hpp"
#include "base/atomic.hpp"
#include "interrupt/delivery.hpp"
#include "memory/device_map.hpp"

namespace pv::arch::LocalApic {
namespace {

enum class Register : std::uint32_t {
    id = 0x20,
    task_priority = 0x80,
    end_of_interrupt = 0xb0,
    spurious = 0xf0,
    command_low = 0x300,
    command_high = 0x310,
    timer_vector = 0x320,
    local0_vector = 0x350,
    local1_vector = 0x360,
    initial_count = 0x380,
    current_count = 0x390,
    divide = 0x3e0,
    self_interrupt = 0x3f0,  ///< x2APIC only
};

constexpr std::uint64_t base_enable = 1U << 11;
constexpr std::uint64_t base_x2apic = 1U << 10;
constexpr std::uint32_t software_enable = 1U << 8;
constexpr std::uint32_t masked = 1U << 16;
constexpr std::uint32_t mode_tsc_deadline = 2U << 17;
constexpr std::uint32_t command_pending = 1U << 12;
constexpr std::uint32_t command_self = 1U << 18;
constexpr std::uint32_t command_assert = 1U << 14;
constexpr std::uint32_t delivery_nmi = 4U << 8;
constexpr std::uint32_t delivery_init = 5U << 8;
constexpr std::uint32_t delivery_startup = 6U << 8;
constexpr std::uint32_t feature_x2apic = 1U << 21;        // CPUID.1:ECX
constexpr std::uint32_t feature_tsc_deadline = 1U << 24;  // CPUID.1:ECX
constexpr std::uint32_t divide_by_16 = 3;
constexpr std::uint64_t registers_size = 4096;
constexpr Duration measured_for = Duration::milliseconds(1);

// Written once on the boot CPU before any other CPU or interrupt; 0 while the APIC is off or in x2APIC mode.
constinit Atomic<std::uint64_t> window{0};
constinit Atomic<bool> x2apic{false};
constinit Atomic<bool> tsc_deadline{false};
constinit Atomic<std::uint64_t> ticks_per_second{0};

std::uint32_t read(Register r) {
    const auto offset = static_cast<std::uint32_t>(r);
    if (x2apic.load(std::memory_order_relaxed)) {
        return static_cast<std::uint32_t>(
            read_msr(static_cast<Msr>(static_cast<std::uint32_t>(Msr::x2apic_base) + offset / 16)));
    }
    const std::uint64_t base = window.load(std::memory_order_relaxed);
    return base == 0 ? 0 : *reinterpret_cast<const volatile std::uint32_t*>(base + offset);
}

void write(Register r, std::uint32_t value) {
    const auto offset = static_cast<std::uint32_t>(r);
    if (x2apic.load(std::memory_order_relaxed)) {
        write_msr(static_cast<Msr>(static_cast<std::uint32_t>(Msr::x2apic_base) + offset / 16), value);
        return;
    }
    const std::uint64_t base = window.load(std::memory_order_relaxed);
    if (base != 0) {
        *reinterpret_cast<volatile std::uint32_t*>(base + offset) = value;
    }
}

// The two 8259s: moved away from the exception vectors, then masked for good.
void mask_legacy_controllers() {
    constexpr std::uint16_t first = 0x20;
    constexpr std::uint16_t second = 0xa0;
    out8(first, 0x11);
    out8(second, 0x11);
    out8(first + 1, vector_legacy_first);
    out8(second + 1, vector_legacy_first + 8);
    out8(first + 1, 4);
    out8(second + 1, 2);
    out8(first + 1, 1);
    out8(second + 1, 1);
    out8(first + 1, 0xff);
    out8(second + 1, 0xff);
}

void measure_timer() {
    write(Register::divide, divide_by_16);
    write(Register::timer_vector, masked | vector_timer);
    const Instant begin = now();
    write(Register::initial_count, ~0U);
    while (now() - begin < measured_for) {
        relax();
    }
    const std::uint32_t left = read(Register::current_count);
    const Duration took = now() - begin;
    write(Register::initial_count, 0);
    ticks_per_second.store(std::uint64_t{~0U - left} * 1'000'000'000 / took.to_nanoseconds(),
                           std::memory_order_relaxed);
}

void enable() {
    std::uint64_t base = read_msr(Msr::apic_base) | base_enable;
    write_msr(Msr::apic_base, base);
    if (x2apic.load(std::memory_order_relaxed)) {
        // Straight from disabled to x2APIC is not allowed: first enabled, then extended.
        base |= base_x2apic;
        write_msr(Msr::apic_base, base);
    }
}

void set_up() {
    write(Register::task_priority, 0);
    write(Register::local0_vector, masked);
    write(Register::local1_vector, masked);
    write(Register::spurious, software_enable | vector_spurious);
}

void set_up_timer() {
    write(Register::divide, divide_by_16);
    write(Register::timer_vector,
          (tsc_deadline.load(std::memory_order_relaxed) ? mode_tsc_deadline : 0U) | vector_timer);
    // In xAPIC mode the register is memory, and the deadline a register: the mode must have arrived first
    // (Intel SDM vol. 3, 11.5.4.1).
    __asm__ volatile("mfence" ::: "memory");
}

void send(std::uint32_t apic_id, std::uint32_t command) {
    if (x2apic.load(std::memory_order_relaxed)) {
        // What was written before must be visible to the other CPU before the interrupt is: this write waits
        // for nothing by itself (Intel SDM vol. 3, 11.12.3).
        __asm__ volatile("mfence\n\tlfence" ::: "memory");
        constexpr std::uint32_t msr = static_cast<std::uint32_t>(Msr::x2apic_base) +
                                      static_cast<std::uint32_t>(Register::command_low) / 16;
        write_msr(static_cast<Msr>(msr), std::uint64_t{apic_id} << 32 | command);
        return;
    }
    const InterruptsOff off;
    // The bound is for an APIC that is not there: a message is delivered or refused within microseconds.
    for (int polls = 0; polls < 1000 && (read(Register::command_low) & command_pending) != 0; ++polls) {
        relax();
    }
    write(Register::command_high, apic_id << 24);
    write(Register::command_low, command);
}

}  // namespace

Result<> start(PhysicalAddress registers) {
    mask_legacy_controllers();
    if ((cpuid(1).edx & 1U << 9) == 0) {
        return fail(Error::not_supported);
    }
    const std::uint32_t features = cpuid(1).ecx;
    x2apic.store((features & feature_x2apic) != 0, std::memory_order_relaxed);
    tsc_deadline.store((features & feature_tsc_deadline) != 0, std::memory_order_relaxed);
    enable();
    if (!x2apic.load(std::memory_order_relaxed)) {
        const PhysicalAddress at = registers.value() != 0
                                       ? registers
                                       : PhysicalAddress(read_msr(Msr::apic_base) & 0x000f'ffff'ffff'f000);
        window.store(PV_TRY(memory::map_device(at, registers_size)).value(), std::memory_order_relaxed);
    }
    set_up();
    // The machine's button for "where are you?" (`virsh inject-nmi`): one processor takes it, and ends all of
    // them with what each was doing. PCs wire it to this pin.
    write(Register::local1_vector, delivery_nmi);
    if (!tsc_deadline.load(std::memory_order_relaxed)) {
        measure_timer();
        if (ticks_per_second.load(std::memory_order_relaxed) == 0) {
            return fail(Error::not_supported);
        }
    }
    set_up_timer();
    return {};
}

Result<> start_secondary() {
    const std::uint32_t wanted = (x2apic.load(std::memory_order_relaxed) ? feature_x2apic : 0U) |
                                 (tsc_deadline.load(std::memory_order_relaxed) ? feature_tsc_deadline : 0U);
    if ((cpuid(1).edx & 1U << 9) == 0 || (cpuid(1).ecx & wanted) != wanted) {
        return fail(Error::not_supported);
    }
    enable();
    set_up();
    set_up_timer();
    return {};
}

std::uint32_t id() {
    const std::uint32_t value = read(Register::id);
    return x2apic.load(std::memory_order_relaxed) ? value : value >> 24;
}

bool is_x2apic() {
    return x2apic.load(std::memory_order_relaxed);
}

std::string_view mode_name() {
    return x2apic.load(std::memory_order_relaxed) ? "x2APIC" : "xAPIC";
}

std::string_view timer_name() {
    return tsc_deadline.load(std::memory_order_relaxed) ? "TSC deadline" : "one-shot";
}

void end_of_interrupt() {
    write(Register::end_of_interrupt, 0);
}

void arm_timer(Instant instant) {
    if (tsc_deadline.load(std::memory_order_relaxed)) {
        // Zero would disarm it.
        const std::uint64_t at = tsc_at(instant);
        write_msr(Msr::tsc_deadline, at == 0 ? 1 : at);
        return;
    }
    // Rounded up: early would mean a second interrupt right after.
    constexpr Duration longest = Duration::seconds(1);
    Duration left = instant - now();
    left = left < longest ? left : longest;
    const std::uint64_t ticks =
        left.to_nanoseconds() * (ticks_per_second.load(std::memory_order_relaxed) / 1000) / 1'000'000 + 1;
    write(Register::initial_count, ticks < ~0U ? static_cast<std::uint32_t>(ticks) : ~0U);
}

void interrupt_self(std::uint8_t vector) {
    if (x2apic.load(std::memory_order_relaxed)) {
        write(Register::self_interrupt, vector);
        return;
    }
    send(0, command_self | vector);
}

void interrupt(std::uint32_t apic_id, std::uint8_t vector) {
    send(apic_id, vector);
}

void send_nmi(std::uint32_t apic_id) {
    send(apic_id, delivery_nmi | command_assert);
}

void send_init(std::uint32_t apic_id) {
    send(apic_id, delivery_init | command_assert);
}

void send_startup(std::uint32_t apic_id, std::uint8_t page) {
    send(apic_id, delivery_startup | command_assert | page);
}

}  // namespace pv::arch::LocalApic

namespace pv::interrupt {

// Fixed delivery, edge, physical destination.
Message message_for(unsigned cpu, std::uint8_t number) {
    constexpr std::uint64_t message_base = 0xfee0'0000;
    return {message_base | std::uint64_t{arch::cpu(cpu).apic_id & 0xff} << 12, number};
}

bool extended_destinations() {
    return arch::LocalApic::mode_name() == "x2APIC";
}

bool reachable_by_message(unsigned cpu) {
    constexpr std::uint32_t broadcast = 0xff;
    return arch::cpu(cpu).apic_id < broadcast;
}

}  // namespace pv::interrupt
