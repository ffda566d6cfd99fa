// Randomness the processor has to give: RDSEED, RDRAND.
// SPDX-License-Identifier: MIT
#include "arch/entropy.hpp"

#include "arch/x86_64/registers.hpp"

namespace pv::arch {
namespace {

/// Intel's advice for RDRAND; RDSEED runs dry more often, and RDRAND stands in for it.
constexpr int attempts = 10;

bool offers_rdseed() {
    return cpuid(0).eax >= 7 && (cpuid(7).ebx & 1U << 18) != 0;
}

bool offers_rdrand() {
    return (cpuid(1).ecx & 1U << 30) != 0;
}

}  // namespace

std::optional<std::uint64_t> random_word() {
    std::uint64_t word = 0;
    bool good = false;
    for (int i = 0; i < attempts && offers_rdseed(); ++i) {
        __asm__ volatile("rdseed %0" : "=r"(word), "=@ccc"(good));
        if (good) {
            return word;
        }
        __asm__ volatile("pause");
    }
    for (int i = 0; i < attempts && offers_rdrand(); ++i) {
        __asm__ volatile("rdrand %0" : "=r"(word), "=@ccc"(good));
        if (good) {
            return word;
        }
    }
    return std::nullopt;
}

std::uint64_t cycle_count() {
    std::uint32_t low = 0;
    std::uint32_t high = 0;
    __asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
    return std::uint64_t{high} << 32 | low;
}

}  // namespace pv::arch
