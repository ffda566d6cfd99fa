// Device registers in the kernel's address space.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <span>

#include "base/address.hpp"
#include "base/result.hpp"

namespace pv::memory {

/// Maps [address, address + length) uncached, writable, never executable, and returns where its first byte
/// is. Any alignment. RAM is refused. Threads only. Errors: invalid_argument (empty, wraps, RAM),
/// out_of_memory.
Result<VirtualAddress> map_device(PhysicalAddress address, std::uint64_t length);
/// Ends what map_device returned, with the same length.
void unmap_device(VirtualAddress address, std::uint64_t length);

/// Maps memory the firmware left (ACPI tables) read-only, cached, never executable. Same errors, RAM allowed.
Result<std::span<const std::byte>> map_firmware(PhysicalAddress address, std::uint64_t length);
/// Ends what map_firmware returned.
void unmap_firmware(std::span<const std::byte> bytes);

}  // namespace pv::memory
