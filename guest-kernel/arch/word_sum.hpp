// A one's complement sum of words, which needs the carry flag: two instructions for 16 bytes where C++ takes
// seven.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>

namespace pv::arch {

/// The sum of `blocks` times 64 bytes at `bytes`, as 64-bit words in memory order, carries added back in.
[[nodiscard]] inline std::uint64_t word_sum(const void* bytes, std::size_t blocks) {
    std::uint64_t sum = 0;
    if (blocks == 0) {
        return sum;
    }
    // The carry lives from one word to the next, and over `lea` and `dec`, which leave it alone.
    __asm__(
        "xorl %%eax, %%eax\n"
        "1:\n\t"
        "adcq (%[at]), %[sum]\n\t"
        "adcq 8(%[at]), %[sum]\n\t"
        "adcq 16(%[at]), %[sum]\n\t"
        "adcq 24(%[at]), %[sum]\n\t"
        "adcq 32(%[at]), %[sum]\n\t"
        "adcq 40(%[at]), %[sum]\n\t"
        "adcq 48(%[at]), %[sum]\n\t"
        "adcq 56(%[at]), %[sum]\n\t"
        "leaq 64(%[at]), %[at]\n\t"
        "decq %[blocks]\n\t"
        "jnz 1b\n\t"
        "adcq $0, %[sum]"
        : [sum] "+r"(sum), [at] "+r"(bytes), [blocks] "+r"(blocks)
        :
        : "rax", "cc", "memory");
    return sum;
}

}  // namespace pv::arch
