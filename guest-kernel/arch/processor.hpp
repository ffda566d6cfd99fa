// The few processor operations that code outside arch/ needs; nearly nothing on a host.
// SPDX-License-Identifier: MIT
#pragma once

#include <bitset>
#include <cstddef>
#include <cstdint>

namespace pv::arch {

/// More than these are left unused, with a line on the console.
inline constexpr unsigned cpus_max = 256;

using CpuSet = std::bitset<cpus_max>;

/// CPUs that run, numbered from 0 (the boot CPU) without gaps: constant once the main thread runs. Any
/// context.
[[nodiscard]] unsigned cpu_count();

/// All CPUs that run. Any context.
[[nodiscard]] inline CpuSet online_cpus() {
    return CpuSet().set() >> (cpus_max - cpu_count());
}

/// The CPU this runs on, below cpu_count(). A hint unless interrupts are off or the thread is pinned: the
/// thread may move right after. Any context.
[[nodiscard]] unsigned current_cpu();

#if PV_HOSTED
inline bool disable_interrupts() {
    return false;
}

inline void restore_interrupts(bool) {}

inline bool interrupts_enabled() {
    return true;
}
#else
[[nodiscard]] inline bool interrupts_enabled() {
    std::uint64_t flags = 0;
    __asm__ volatile("pushfq\n\tpopq %0" : "=r"(flags)::"memory");
    return (flags & 0x200) != 0;
}

/// Returns whether they were on.
inline bool disable_interrupts() {
    const bool were_on = interrupts_enabled();
    __asm__ volatile("cli" ::: "memory");
    return were_on;
}

inline void restore_interrupts(bool were_on) {
    if (were_on) {
        __asm__ volatile("sti" ::: "memory");
    }
}
#endif

/// In the body of a loop that polls.
inline void relax() {
    __builtin_ia32_pause();
}

/// The same where interrupts may be off: carries out what other CPUs ask of this one meanwhile, so that two
/// CPUs which wait for each other both go on. Any context but NMI.
#if PV_HOSTED
inline void relax_and_serve() {
    relax();
}
#else
void relax_and_serve();
#endif

/// Writes what the caches hold of [begin, begin + length) back to memory, for devices that do not look into
/// caches (Intel SDM vol. 2A, CLFLUSH).
inline void write_back(const void* begin, std::size_t length) {
    constexpr std::uintptr_t line = 64;  // no x86-64 processor has shorter ones
    const auto first = reinterpret_cast<std::uintptr_t>(begin) & ~(line - 1);
    for (std::uintptr_t at = first; at < reinterpret_cast<std::uintptr_t>(begin) + length; at += line) {
        __asm__ volatile("clflush %0" ::"m"(*reinterpret_cast<const char*>(at)) : "memory");
    }
    __asm__ volatile("mfence" ::: "memory");
}

class InterruptsOff {
  public:
    InterruptsOff() : were_on_(disable_interrupts()) {}

    InterruptsOff(const InterruptsOff&) = delete;
    InterruptsOff& operator=(const InterruptsOff&) = delete;

    ~InterruptsOff() { restore_interrupts(were_on_); }

  private:
    bool were_on_;
};

}  // namespace pv::arch
