// How the ACPI parser reaches physical memory: mapped firmware pages in the kernel, a byte image in tests.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "base/address.hpp"
#include "base/result.hpp"

namespace pv::acpi {

class Memory {
  public:
    /// Exactly `length` bytes at `address`, valid until the next call of `release` for them.
    /// Error: out_of_range when that is not readable memory.
    virtual Result<std::span<const std::byte>> map(PhysicalAddress address, std::uint64_t length) = 0;
    virtual void release(std::span<const std::byte> bytes) = 0;

  protected:
    ~Memory() = default;
};

}  // namespace pv::acpi
