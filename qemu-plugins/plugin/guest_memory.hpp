// The guest's RAM as it lies in QEMU's own address space, for reading rings.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "paravane/trace_event.hpp"

namespace pv::plugin {

/// Reads guest physical memory. What is read may change at the same moment: the guest runs on.
class MemoryReader {
  public:
    virtual ~MemoryReader() = default;
    /// Copies into `target` what lies at `physical`; false when not all of it is RAM (nothing is copied
    /// then).
    [[nodiscard]] virtual bool read(std::uint64_t physical, std::span<std::byte> target) const = 0;
};

/// One memory-backend-memfd, mapped whole. RAM lies at physical 0 up to a split below the PCI hole; what is
/// beyond the split goes on at 4 GiB. See docs/plugin.md, "Guest memory", for where the split is known from.
class GuestMemory final : public MemoryReader {
  public:
    /// What was found, or why it is of no use.
    struct Found;

    GuestMemory() = default;

    /// Neither pointer nor sizes are checked. `low` <= `size`: bytes below the split.
    GuestMemory(const std::byte* base, std::uint64_t size, std::uint64_t low)
        : base_(base), size_(size), low_(low) {}

    [[nodiscard]] bool read(std::uint64_t physical, std::span<std::byte> target) const override;

    /// Where `length` bytes at `physical` lie in this process; nullptr when not all of it is RAM.
    [[nodiscard]] const std::byte* at(std::uint64_t physical, std::uint64_t length) const;

    [[nodiscard]] std::uint64_t size() const { return size_; }

    /// The first physical address beyond all RAM.
    [[nodiscard]] std::uint64_t limit() const {
        return size_ == low_ ? size_ : (std::uint64_t{4} << 30) + (size_ - low_);
    }

    [[nodiscard]] std::uint64_t low() const { return low_; }

    /// Understands /proc/self/maps and /proc/self/cmdline (arguments ended by NUL) of a QEMU.
    static Found find(std::string_view maps, std::string_view command_line);

    /// Of this process.
    static Found find();

  private:
    const std::byte* base_ = nullptr;
    std::uint64_t size_ = 0;
    std::uint64_t low_ = 0;
};

struct GuestMemory::Found {
    trace::RingUnseen reason = trace::RingUnseen::none;  ///< none: `memory` is good
    GuestMemory memory;
};

}  // namespace pv::plugin
