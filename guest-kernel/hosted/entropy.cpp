// The host's randomness in place of the processor's.
// SPDX-License-Identifier: MIT
#include "arch/entropy.hpp"

#include <chrono>
#include <random>

namespace pv::arch {

std::optional<std::uint64_t> random_word() {
    std::random_device device;
    return std::uint64_t{device()} << 32 | device();
}

std::uint64_t cycle_count() {
    return static_cast<std::uint64_t>(std::chrono::steady_clock::now().time_since_epoch().count());
}

}  // namespace pv::arch
