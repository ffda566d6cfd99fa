// Turning the machine off.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>

namespace pv::arch {

/// Says `paravane: powering off, status N` as the last line, emits marker goodbye, and asks ACPI for S5;
/// halts where that is refused. Any context.
[[noreturn]] void power_off(std::uint32_t status);

}  // namespace pv::arch
