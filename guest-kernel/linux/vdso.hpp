// The vdso: pages with clock calls that every program shares, and the clock's page that they read.
// SPDX-License-Identifier: MIT
#pragma once

#include "base/address.hpp"
#include "base/errno.hpp"
#include "base/result.hpp"
#include "base/wall_time.hpp"
#include "memory/address_space.hpp"

namespace pv::linux {

/// Makes the pages and writes the clock's. Before the first program, once, with the clock running and all
/// processors compared (arch::keep_clock_monotonic). Error: out_of_memory.
[[nodiscard]] Result<> start_vdso();

/// Bytes of a program's memory it takes: the clock's page and the shared object.
[[nodiscard]] std::uint64_t vdso_size();

/// Maps both at `begin`, which is free. Returns where the shared object's ELF header is (AT_SYSINFO_EHDR).
/// Errors: enomem, what mapping gives.
[[nodiscard]] Outcome<UserAddress> map_vdso(memory::AddressSpace& space, UserAddress begin);

/// Sets the wall's clock for the kernel and for programs at one moment: no program reads the old time after
/// anybody has read the new one. Any thread.
void set_wall_time_for_all(Timestamp time);

}  // namespace pv::linux
