// The shared object that every program finds in its memory: clocks and the processor's number without a call.
// SPDX-License-Identifier: MIT
//
// Runs in user mode. vdso(7) of Linux has names, version and shapes; what is not answered here is asked of
// the kernel.
#include <asm/unistd.h>

#include <cstdint>
#include <optional>

#include "arch/x86_64/descriptors.hpp"
#include "arch/x86_64/registers.hpp"
#include "base/address.hpp"
#include "vdso/clock_page.hpp"

namespace {

using pv::vdso::ClockKind;

struct Timespec {
    std::int64_t seconds, nanoseconds;
};

struct Timeval {
    std::int64_t seconds, microseconds;
};

struct Timezone {
    std::int32_t minutes_west, daylight_saving;
};

const pv::vdso::ClockPage& page() {
    // It lies right before the ELF header, which is no object that C++ knows of.
    const pv::vdso::ClockPage* page = nullptr;
    __asm__(".hidden __ehdr_start\n\tleaq __ehdr_start - %c1(%%rip), %0" : "=r"(page) : "i"(pv::page_size));
    return *page;
}

long system_call(long number, std::uint64_t first, std::uint64_t second) {
    long result = number;
    __asm__ volatile("syscall" : "+a"(result) : "D"(first), "S"(second) : "rcx", "r11", "memory");
    return result;
}

std::uint64_t bits(const void* pointer) {
    return reinterpret_cast<std::uintptr_t>(pointer);
}

std::optional<pv::Timestamp> read(ClockKind kind) {
    const auto time = pv::vdso::read(page(), kind, pv::arch::read_ordered_tsc);
    return time ? std::optional(pv::timestamp_of(*time)) : std::nullopt;
}

}  // namespace

extern "C" {

[[gnu::visibility("default")]] int __vdso_clock_gettime(int clock, Timespec* time) {
    if (const auto now = read(pv::vdso::kind_of(clock))) {
        *time = {now->seconds, now->nanoseconds};
        return 0;
    }
    return static_cast<int>(
        system_call(__NR_clock_gettime, static_cast<std::uint64_t>(std::int64_t{clock}), bits(time)));
}

[[gnu::visibility("default")]] int __vdso_clock_getres(int clock, Timespec* resolution) {
    if (pv::vdso::kind_of(clock) == ClockKind::other) {
        return static_cast<int>(system_call(
            __NR_clock_getres, static_cast<std::uint64_t>(std::int64_t{clock}), bits(resolution)));
    }
    if (resolution != nullptr) {
        *resolution = {0, pv::vdso::resolution_ns};
    }
    return 0;
}

[[gnu::visibility("default")]] int __vdso_gettimeofday(Timeval* time, Timezone* zone) {
    const auto now = read(ClockKind::wall);
    if (!now) {
        return static_cast<int>(system_call(__NR_gettimeofday, bits(time), bits(zone)));
    }
    if (time != nullptr) {
        *time = {now->seconds, now->nanoseconds / 1000};
    }
    if (zone != nullptr) {
        *zone = {0, 0};
    }
    return 0;
}

[[gnu::visibility("default")]] std::int64_t __vdso_time(std::int64_t* seconds) {
    const auto now = read(ClockKind::wall);
    if (!now) {
        return system_call(__NR_time, bits(seconds), 0);
    }
    if (seconds != nullptr) {
        *seconds = now->seconds;
    }
    return now->seconds;
}

// The third argument is Linux's of long ago, and not looked at.
[[gnu::visibility("default")]] int __vdso_getcpu(std::uint32_t* cpu, std::uint32_t* node, const void*) {
    // A segment that differs between processors in nothing but its limit.
    std::uint32_t limit = 0;
    __asm__ volatile("lsl %1, %0" : "=r"(limit) : "r"(std::uint32_t{pv::arch::cpu_number_selector}) : "cc");
    if (cpu != nullptr) {
        *cpu = limit;
    }
    if (node != nullptr) {
        *node = 0;
    }
    return 0;
}

}  // extern "C"
