// Control registers, model-specific registers, CPUID and ports, by name.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>

/// Intel SDM vol. 3 chapter 2 and vol. 4; AMD APM vol. 2.
namespace pv::arch {

enum class Msr : std::uint32_t {
    apic_base = 0x1b,
    tsc_deadline = 0x6e0,
    x2apic_base = 0x800,  ///< + register offset / 16
    efer = 0xc000'0080,
    star = 0xc000'0081,   ///< selectors of SYSCALL and SYSRET
    lstar = 0xc000'0082,  ///< where SYSCALL goes
    fmask = 0xc000'0084,  ///< flags that SYSCALL clears
    fs_base = 0xc000'0100,
    gs_base = 0xc000'0101,
    kernel_gs_base = 0xc000'0102,
    tsc_aux = 0xc000'0103,  ///< what RDTSCP and RDPID tell programs
    kvm_system_time = 0x4b56'4d01,
};

inline std::uint64_t read_msr(Msr msr) {
    std::uint32_t low = 0;
    std::uint32_t high = 0;
    __asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(static_cast<std::uint32_t>(msr)));
    return std::uint64_t{high} << 32 | low;
}

inline void write_msr(Msr msr, std::uint64_t value) {
    __asm__ volatile("wrmsr" ::"c"(static_cast<std::uint32_t>(msr)), "a"(static_cast<std::uint32_t>(value)),
                     "d"(static_cast<std::uint32_t>(value >> 32))
                     : "memory");
}

struct Cpuid {
    std::uint32_t eax, ebx, ecx, edx;
};

inline Cpuid cpuid(std::uint32_t leaf, std::uint32_t subleaf = 0) {
    Cpuid r{};
    __asm__ volatile("cpuid" : "=a"(r.eax), "=b"(r.ebx), "=c"(r.ecx), "=d"(r.edx) : "a"(leaf), "c"(subleaf));
    return r;
}

inline constexpr std::uint64_t cr0_write_protect = 1ULL << 16;
inline constexpr std::uint64_t cr4_global_pages = 1ULL << 7;
inline constexpr std::uint64_t cr4_fxsr = 1ULL << 9;
inline constexpr std::uint64_t cr4_simd_exceptions = 1ULL << 10;
inline constexpr std::uint64_t cr4_base_instructions = 1ULL << 16;  ///< FSGSBASE
inline constexpr std::uint64_t cr4_xsave = 1ULL << 18;
inline constexpr std::uint64_t cr4_umip = 1ULL << 11;
inline constexpr std::uint64_t cr4_smep = 1ULL << 20;
inline constexpr std::uint64_t cr4_smap = 1ULL << 21;
inline constexpr std::uint64_t efer_syscall = 1ULL << 0;
inline constexpr std::uint64_t efer_nx = 1ULL << 11;

#define PV_CONTROL_REGISTER(number)                                           \
    inline std::uint64_t read_cr##number() {                                  \
        std::uint64_t value = 0;                                              \
        __asm__ volatile("movq %%cr" #number ", %0" : "=r"(value)::"memory"); \
        return value;                                                         \
    }                                                                         \
    inline void write_cr##number(std::uint64_t value) {                       \
        __asm__ volatile("movq %0, %%cr" #number ::"r"(value) : "memory");    \
    }
PV_CONTROL_REGISTER(0)
PV_CONTROL_REGISTER(2)
PV_CONTROL_REGISTER(3)
PV_CONTROL_REGISTER(4)
#undef PV_CONTROL_REGISTER

#define PV_DEBUG_REGISTER(number)                                             \
    inline std::uint64_t read_dr##number() {                                  \
        std::uint64_t value = 0;                                              \
        __asm__ volatile("movq %%dr" #number ", %0" : "=r"(value)::"memory"); \
        return value;                                                         \
    }                                                                         \
    inline void write_dr##number(std::uint64_t value) {                       \
        __asm__ volatile("movq %0, %%dr" #number ::"r"(value) : "memory");    \
    }
PV_DEBUG_REGISTER(0)
PV_DEBUG_REGISTER(1)
PV_DEBUG_REGISTER(2)
PV_DEBUG_REGISTER(3)
PV_DEBUG_REGISTER(6)
PV_DEBUG_REGISTER(7)
#undef PV_DEBUG_REGISTER

inline void invalidate_page(std::uint64_t address) {
    __asm__ volatile("invlpg (%0)" ::"r"(address) : "memory");
}

inline std::uint64_t read_tsc() {
    std::uint32_t low = 0;
    std::uint32_t high = 0;
    __asm__ volatile("rdtsc" : "=a"(low), "=d"(high)::"memory");
    return std::uint64_t{high} << 32 | low;
}

/// Not before what stands before it: who has seen a time gets no earlier one, on any CPU.
inline std::uint64_t read_ordered_tsc() {
    __asm__ volatile("lfence" ::: "memory");
    return read_tsc();
}

inline std::uint8_t in8(std::uint16_t port) {
    std::uint8_t value = 0;
    __asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port) : "memory");
    return value;
}

inline std::uint32_t in32(std::uint16_t port) {
    std::uint32_t value = 0;
    __asm__ volatile("inl %1, %0" : "=a"(value) : "Nd"(port) : "memory");
    return value;
}

inline void out8(std::uint16_t port, std::uint8_t value) {
    __asm__ volatile("outb %0, %1" ::"a"(value), "Nd"(port) : "memory");
}

inline void out16(std::uint16_t port, std::uint16_t value) {
    __asm__ volatile("outw %0, %1" ::"a"(value), "Nd"(port) : "memory");
}

}  // namespace pv::arch
