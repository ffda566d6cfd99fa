// Randomness the processor has to give. Kernel: arch/x86_64/entropy.cpp. Hosted: hosted/entropy.cpp.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <optional>

namespace pv::arch {

/// 64 bits of the processor's random number generator (RDSEED, else RDRAND; Intel SDM vol. 1, 7.3.17);
/// nothing where there is none, or it has none to give just now. Any context.
[[nodiscard]] std::optional<std::uint64_t> random_word();

/// The time stamp counter: of little use by itself, of some when read at moments others decide.
[[nodiscard]] std::uint64_t cycle_count();

}  // namespace pv::arch
