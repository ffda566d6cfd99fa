// The kernel's start: from the first instruction in C++ to the main thread.
// SPDX-License-Identifier: MIT
#include <algorithm>
#include <cstring>
#include <new>

#include "acpi/tables.hpp"
#include "arch/x86_64/clock.hpp"
#include "arch/x86_64/cpu.hpp"
#include "arch/x86_64/cpu_start.hpp"
#include "arch/x86_64/image.hpp"
#include "arch/x86_64/layout.hpp"
#include "arch/x86_64/local_apic.hpp"
#include "arch/x86_64/power.hpp"
#include "arch/x86_64/stack.hpp"
#include "arch/x86_64/watchdog.hpp"
#include "base/log.hpp"
#include "base/marker.hpp"
#include "base/panic.hpp"
#include "boot/memory.hpp"
#include "boot/options.hpp"
#include "boot/processors.hpp"
#include "boot/promises.hpp"
#include "boot/start_info.hpp"
#include "boot/tests.hpp"
#include "boot/wall_clock.hpp"
#include "boot/workload.hpp"
#include "device/serial/console.hpp"
#include "linux/start.hpp"
#include "memory/device_map.hpp"
#include "memory/direct_map.hpp"
#include "memory/frames.hpp"
#include "task/scheduler.hpp"
#include "task/thread.hpp"

namespace pv::acpi {
namespace {

constinit const Tables* machine_tables = nullptr;  // set once, before there is a second thread
constinit const Tables no_tables;

}  // namespace

const Tables& tables() {
    return machine_tables == nullptr ? no_tables : *machine_tables;
}

}  // namespace pv::acpi

namespace pv::boot {
namespace {

// The loader's copy may lie anywhere; this one is there for good.
constinit std::array<char, command_line_max> command_line_text{};

class FirmwareMemory final : public acpi::Memory {
  public:
    Result<std::span<const std::byte>> map(PhysicalAddress address, std::uint64_t length) override {
        const auto mapped = memory::map_firmware(address, length);
        if (!mapped && mapped.error() == Error::invalid_argument) {
            return fail(Error::out_of_range);
        }
        return mapped;
    }

    void release(std::span<const std::byte> bytes) override { memory::unmap_firmware(bytes); }
};

void copy_command_line(PhysicalAddress at) {
    if (at.value() == 0) {
        return;
    }
    const char* text = memory::to_pointer<const char>(at);
    std::size_t length = 0;
    while (length < command_line_max && text[length] != '\0') {
        command_line_text[length] = text[length];
        ++length;
    }
    set_command_line({command_line_text.data(), length});
}

void apply_log_level() {
    const auto level = option("loglevel");
    if (!level) {
        return;
    }
    if (*level == "debug") {
        log::set_threshold(log::Level::debug);
    } else if (*level == "warning") {
        log::set_threshold(log::Level::warning);
    } else if (*level == "error") {
        log::set_threshold(log::Level::error);
    } else if (*level != "info") {
        log::warning("loglevel={}: not one of debug, info, warning, error", *level);
    }
}

void apply_watchdog() {
    const auto text = option("watchdog");
    if (!text) {
        return;
    }
    if (*text == "off") {
        arch::set_watchdog(Duration());
    } else if (const auto patience = parse_duration(*text); patience && *patience > Duration()) {
        arch::set_watchdog(*patience);
    } else {
        log::warning("watchdog={}: neither `off` nor a duration such as 10s", *text);
    }
}

void say_protections(const arch::Protections& on) {
    const auto word = [](bool is_on) { return std::string_view(is_on ? "on" : "not offered"); };
    log::info("protections: write xor execute on, WP {}, NX {}, SMEP {}, SMAP {}, UMIP {}",
              word(on.write_protect), word(on.no_execute), word(on.smep), word(on.smap), word(on.umip));
}

void say_memory() {
    std::uint64_t bytes = 0;
    for (const memory::Range& range : ram()) {
        bytes += range.size();
    }
    const memory::FrameStatistics frames = memory::frame_statistics();
    log::info("memory: {} MiB of RAM in {} ranges up to {}; {} frames free, {} frames of books", bytes >> 20,
              ram().size(), frames.highest, frames.free, frames.metadata);
}

// At debug only: what reads a machine's log may not be who may know.
void say_layout() {
    constexpr std::string_view chances[] = {"nokaslr", "the processor's generator", "the clock alone"};
    log::debug("addresses: image {:#x} from where it was linked, direct map at {:#x}, space at {:#x}, by {}",
               arch::image_slide(), memory::direct_map_base(), pv_layout.space_begin,
               chances[static_cast<std::size_t>(pv_layout.chance)]);
}

void read_acpi(PhysicalAddress rsdp) {
    FirmwareMemory memory;
    auto parsed = acpi::parse(rsdp, memory);
    if (!parsed) {
        log::error("ACPI: no tables: {}", parsed.error());
        return;
    }
    auto* tables = new (std::nothrow) acpi::Tables(std::move(*parsed));
    if (tables == nullptr) {
        panic("no memory for the ACPI tables");
    }
    if (alter_tables != nullptr) {
        alter_tables(*tables);
    }
    acpi::machine_tables = tables;
    log::info(
        "ACPI: {} processors, {} I/O APICs, {} ECAM ranges, {} IOMMUs, power-off port {:#x}, {} refused",
        tables->processors.size(), tables->io_apics.size(), tables->ecam.size(), tables->remapping.size(),
        tables->fixed ? tables->fixed->pm1a_control : 0, tables->refused);
}

// An interrupt sent by an APIC id that is not what it seems goes to the wrong processor: better no start at
// all.
void check_processors() {
    const std::uint32_t own = arch::LocalApic::id();
    arch::this_cpu().apic_id = own;
    const ProcessorVerdict verdict =
        judge_processors(acpi::tables().processors, own, arch::LocalApic::is_x2apic());
    switch (verdict.flaw) {
        case ProcessorFlaw::none:
            return;
        case ProcessorFlaw::own_not_listed:
            panic("this processor's APIC id {} is not in the MADT", verdict.apic_id);
        case ProcessorFlaw::listed_twice:
            panic("the MADT lists APIC id {} twice", verdict.apic_id);
        case ProcessorFlaw::out_of_reach:
            panic("the MADT lists APIC id {}, which cannot be in {} mode", verdict.apic_id,
                  arch::LocalApic::mode_name());
    }
}

void start_interrupts() {
    const Result<> started = arch::LocalApic::start(acpi::tables().local_apic);
    if (!started) {
        panic("no local APIC: {}", started.error());
    }
    check_processors();
    log::info("interrupts: {}, APIC id {}, {} timer", arch::LocalApic::mode_name(), arch::this_cpu().apic_id,
              arch::LocalApic::timer_name());
}

// The loader brought programs: the devices, and the exercise where it is asked for, are beside them. The
// machine's status is the first program's; where that is good, the exercise's.
[[noreturn]] void run_programs() {
    const bool has_devices = start_workload().has_value();
    if (!has_devices) {
        log::error("devices: no memory for their thread: programs start without");
    }
    const std::uint32_t status = linux::run_first_program();
    const std::uint32_t devices = has_devices ? finish_workload() : 0;
    arch::power_off(status == 0 && option("exercise") ? devices : status);
}

void main_thread(void*) {
    const std::uint32_t status = run_tests_if_asked().value_or(no_tests_asked);
    if (status != no_tests_asked) {
        arch::power_off(status);
    }
    if (initramfs().empty()) {
        arch::power_off(workload());
    }
    run_programs();
}

}  // namespace

extern "C" [[noreturn]] void pv_start(std::uint64_t start_info) {
    arch::set_clock_origin();
    marker::hello(promised_features, promised_slack, promised_cpus, arch::image_slide());
    arch::adopt_cpu(arch::boot_cpu());
    device::serial::start_console();
    log::info("paravane kernel " PV_VERSION);

    const arch::Protections protections = arch::enable_protections();
    const auto& info = *memory::to_pointer<const StartInfo>(PhysicalAddress(start_info));
    if (info.magic != start_info_magic) {
        panic("not started by a PVH loader (magic {:#x} at {:#x})", info.magic, start_info);
    }
    const PhysicalAddress rsdp(info.rsdp);
    copy_command_line(PhysicalAddress(info.command_line));
    start_memory(info);
    apply_log_level();
    log::info("command line: \"{}\"", command_line().text());
    say_protections(protections);
    say_memory();
    say_layout();
    if (const Result<> stacks = arch::set_up_interrupt_stacks(arch::this_cpu()); !stacks) {
        panic("no memory for the fault stacks");
    }

    read_acpi(rsdp);
    const auto& fixed = acpi::tables().fixed;
    const arch::ClockSource clock = arch::start_clock(fixed ? fixed->pm_timer : std::uint16_t{0});
    log::info("clock: time stamp counter at {} kHz, measured against {}", clock.hertz / 1000, clock.name);
    start_interrupts();
    start_wall_clock(fixed ? fixed->century_register : std::uint8_t{0});

    const auto scheduler = task::Scheduler::create(arch::this_cpu());
    if (!scheduler) {
        panic("no memory for the scheduler");
    }
    (*scheduler)->start();
    apply_watchdog();
    const unsigned cpus = arch::start_other_cpus(acpi::tables().processors);
    log::info("scheduler: {} CPU{}", cpus, cpus == 1 ? "" : "s");
    const auto main = task::Thread::create("main", main_thread, nullptr);
    if (!main) {
        panic("no memory for the main thread");
    }
    task::Scheduler::idle();
}

}  // namespace pv::boot
