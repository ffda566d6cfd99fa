// Turning the machine off.
// SPDX-License-Identifier: MIT
#include "arch/x86_64/power.hpp"

#include <array>

#include "acpi/tables.hpp"
#include "arch/processor.hpp"
#include "arch/x86_64/cpu.hpp"
#include "arch/x86_64/registers.hpp"
#include "arch/x86_64/stop.hpp"
#include "base/log.hpp"
#include "base/marker.hpp"

namespace pv::arch {
namespace {

constexpr std::uint16_t sleep_enable = 1U << 13;  // ACPI 6.4, 4.8.3.2.1, PM1 control
// QEMU's q35 and pc: what a kernel that dies before it has read the FADT can try.
constexpr std::uint16_t fallback_ports[] = {0x604, 0xb004};

std::uint16_t sleep_value(std::uint8_t type) {
    return static_cast<std::uint16_t>(sleep_enable | (type & 7U) << 10);
}

}  // namespace

void power_off(std::uint32_t status) {
    disable_interrupts();
    if (!this_cpu().panicking) {
        // Nobody says anything after the last line, nor is in the middle of one.
        stop_other_cpus(How::when_ready);
    }
    std::array<char, 64> buffer;
    log::console_write(format::to(buffer, "paravane: powering off, status {}", status), true);
    marker::goodbye(status);
    const auto& fixed = acpi::tables().fixed;
    if (fixed && fixed->pm1a_control != 0) {
        out16(fixed->pm1a_control, sleep_value(fixed->sleep_type_s5_a));
        if (fixed->pm1b_control != 0) {
            out16(fixed->pm1b_control, sleep_value(fixed->sleep_type_s5_b));
        }
    } else {
        for (const std::uint16_t port : fallback_ports) {
            out16(port, sleep_enable);
        }
    }
    while (true) {
        __asm__ volatile("cli; hlt");
    }
}

}  // namespace pv::arch
