// Addresses of three worlds as types that do not convert into one another, nor from or to numbers, silently.
// SPDX-License-Identifier: MIT
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>

namespace pv {

inline constexpr std::size_t page_size = 4096;
inline constexpr unsigned page_shift = 12;

/// Rounds up to a multiple of `alignment`, a power of two. The caller keeps `value` clear of the top.
constexpr std::uint64_t align_up(std::uint64_t value, std::uint64_t alignment) {
    return (value + alignment - 1) & ~(alignment - 1);
}

constexpr std::uint64_t align_down(std::uint64_t value, std::uint64_t alignment) {
    return value & ~(alignment - 1);
}

template <class Tag>
class Address {
  public:
    constexpr Address() = default;

    explicit constexpr Address(std::uint64_t value) : value_(value) {}

    [[nodiscard]] constexpr std::uint64_t value() const { return value_; }

    [[nodiscard]] constexpr bool is_aligned(std::uint64_t alignment) const {
        return (value_ & (alignment - 1)) == 0;
    }

    [[nodiscard]] constexpr std::uint64_t page_offset() const { return value_ & (page_size - 1); }

    friend constexpr Address operator+(Address a, std::uint64_t bytes) { return Address(a.value_ + bytes); }

    friend constexpr Address operator-(Address a, std::uint64_t bytes) { return Address(a.value_ - bytes); }

    /// Distance in bytes; `a` must not lie below `b`.
    friend constexpr std::uint64_t operator-(Address a, Address b) { return a.value_ - b.value_; }

    friend constexpr auto operator<=>(Address, Address) = default;

  private:
    std::uint64_t value_ = 0;
};

/// Where a byte of guest memory or a device register lies for the memory controller.
using PhysicalAddress = Address<struct PhysicalTag>;
/// What the CPU uses under the kernel's page tables.
using VirtualAddress = Address<struct VirtualTag>;
/// What a program uses, under its own page tables: never followed but through linux/'s UserPointer.
using UserAddress = Address<struct UserTag>;
/// What a device uses: a physical address only where no IOMMU translates. Only dma::Mapping makes these.
using BusAddress = Address<struct BusTag>;

}  // namespace pv
