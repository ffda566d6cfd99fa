// NVMe controller registers (NVM Express Base Specification 2.0, section 3.1.3, "Controller Properties").
// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>

#include "device/mmio/register.hpp"

namespace pv::nvme {

struct Registers {
    template <class T>
    using ReadOnly = mmio::Register<T, mmio::Access::read_only>;
    template <class T>
    using ReadWrite = mmio::Register<T, mmio::Access::read_write>;

    static constexpr ReadOnly<std::uint64_t> capabilities{0x00};           // CAP
    static constexpr ReadOnly<std::uint32_t> version{0x08};                // VS
    static constexpr ReadWrite<std::uint32_t> interrupt_mask_set{0x0c};    // INTMS
    static constexpr ReadWrite<std::uint32_t> interrupt_mask_clear{0x10};  // INTMC
    static constexpr ReadWrite<std::uint32_t> configuration{0x14};         // CC
    static constexpr ReadOnly<std::uint32_t> status{0x1c};                 // CSTS
    static constexpr ReadWrite<std::uint32_t> admin_queue_sizes{0x24};     // AQA
    static constexpr ReadWrite<std::uint64_t> admin_submission{0x28};      // ASQ
    static constexpr ReadWrite<std::uint64_t> admin_completion{0x30};      // ACQ

    /// Doorbells start here: submission tail and completion head of queue 0, then of queue 1, ...
    static constexpr std::size_t doorbells = 0x1000;
    /// What a controller without a single doorbell would need: less is no NVMe controller.
    static constexpr std::size_t minimum_length = doorbells + 8;
};

/// CAP, taken apart.
class Capabilities {
  public:
    explicit constexpr Capabilities(std::uint64_t value) : value_{value} {}

    [[nodiscard]] constexpr std::uint64_t value() const { return value_; }

    /// Entries a queue may have at most (MQES is 0's based): 1 (which cannot be) to 65536.
    [[nodiscard]] constexpr std::uint32_t queue_entries() const {
        return static_cast<std::uint32_t>(value_ & 0xffff) + 1;
    }

    /// CAP.TO: how long CSTS.RDY may take to follow CC.EN, in units of 500 ms.
    [[nodiscard]] constexpr std::uint32_t timeout_units() const {
        return static_cast<std::uint32_t>(value_ >> 24 & 0xff);
    }

    /// Bytes from one doorbell to the next: 4 << DSTRD.
    [[nodiscard]] constexpr std::size_t doorbell_stride() const {
        return std::size_t{4} << (value_ >> 32 & 0xf);
    }

    /// CSS bit 0: the NVM command set is there.
    [[nodiscard]] constexpr bool nvm_command_set() const { return (value_ >> 37 & 1) != 0; }

    /// Smallest and largest memory page, as a power of two (MPSMIN, MPSMAX are relative to 4 KiB).
    [[nodiscard]] constexpr unsigned minimum_page_shift() const {
        return 12 + static_cast<unsigned>(value_ >> 48 & 0xf);
    }

    [[nodiscard]] constexpr unsigned maximum_page_shift() const {
        return 12 + static_cast<unsigned>(value_ >> 52 & 0xf);
    }

  private:
    std::uint64_t value_;
};

/// CC: bits and fields.
struct Configuration {
    static constexpr std::uint32_t enable = 1U << 0;
    static constexpr std::uint32_t shutdown_mask = 3U << 14;  // SHN
    static constexpr std::uint32_t shutdown_normal = 1U << 14;
    static constexpr std::uint32_t submission_entry_64 = 6U << 16;  // IOSQES, a power of two
    static constexpr std::uint32_t completion_entry_16 = 4U << 20;  // IOCQES, a power of two

    /// MPS for a memory page of 1 << shift bytes.
    [[nodiscard]] static constexpr std::uint32_t page_shift(unsigned shift) {
        return (static_cast<std::uint32_t>(shift) - 12) << 7;
    }
};

/// CSTS: bits and fields.
struct Status {
    static constexpr std::uint32_t ready = 1U << 0;
    static constexpr std::uint32_t fatal = 1U << 1;          // CFS
    static constexpr std::uint32_t shutdown_mask = 3U << 2;  // SHST
    static constexpr std::uint32_t shutdown_complete = 2U << 2;
    /// What a controller that fell off the bus reads as.
    static constexpr std::uint32_t gone = 0xffffffff;
};

}  // namespace pv::nvme
