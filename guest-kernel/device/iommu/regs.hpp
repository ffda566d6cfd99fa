// VT-d's registers (VT-d 4.0, chapter 11).
// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/address.hpp"
#include "device/mmio/register.hpp"

namespace pv::iommu {

struct Registers {
    template <class T>
    using ReadOnly = mmio::Register<T, mmio::Access::read_only>;
    template <class T>
    using ReadWrite = mmio::Register<T, mmio::Access::read_write>;
    template <class T>
    using WriteOnly = mmio::Register<T, mmio::Access::write_only>;

    static constexpr ReadOnly<std::uint32_t> version{0x00};              // VER_REG
    static constexpr ReadOnly<std::uint64_t> capability{0x08};           // CAP_REG
    static constexpr ReadOnly<std::uint64_t> extended_capability{0x10};  // ECAP_REG
    static constexpr WriteOnly<std::uint32_t> command{0x18};             // GCMD_REG
    static constexpr ReadOnly<std::uint32_t> status{0x1c};               // GSTS_REG
    static constexpr ReadWrite<std::uint64_t> root_table{0x20};          // RTADDR_REG
    static constexpr ReadWrite<std::uint32_t> fault_status{0x34};        // FSTS_REG
    static constexpr ReadWrite<std::uint32_t> fault_control{0x38};       // FECTL_REG
    static constexpr ReadWrite<std::uint32_t> fault_data{0x3c};          // FEDATA_REG
    static constexpr ReadWrite<std::uint32_t> fault_address{0x40};       // FEADDR_REG
    static constexpr ReadWrite<std::uint32_t> fault_address_high{0x44};  // FEUADDR_REG
    static constexpr ReadWrite<std::uint32_t> protected_memory{0x64};    // PMEN_REG
    static constexpr ReadOnly<std::uint64_t> queue_head{0x80};           // IQH_REG
    static constexpr ReadWrite<std::uint64_t> queue_tail{0x88};          // IQT_REG
    static constexpr ReadWrite<std::uint64_t> queue_address{0x90};       // IQA_REG
    static constexpr ReadWrite<std::uint64_t> interrupt_table{0xb8};     // IRTA_REG

    /// The registers above, without the fault records.
    static constexpr std::size_t minimum_length = 0xc0;
};

/// GCMD_REG and GSTS_REG, whose bits agree (11.4.4).
struct GlobalCommand {
    static constexpr std::uint32_t translation = 1U << 31;           // TE, TES
    static constexpr std::uint32_t set_root_table = 1U << 30;        // SRTP, RTPS
    static constexpr std::uint32_t flush_write_buffer = 1U << 27;    // WBF, WBFS
    static constexpr std::uint32_t queued_invalidation = 1U << 26;   // QIE, QIES
    static constexpr std::uint32_t interrupt_remapping = 1U << 25;   // IRE, IRES
    static constexpr std::uint32_t set_interrupt_table = 1U << 24;   // SIRTP, IRTPS
    static constexpr std::uint32_t compatibility_format = 1U << 23;  // CFI, CFIS
    /// Those of the status that are states and must be written again with every command.
    static constexpr std::uint32_t states =
        translation | queued_invalidation | interrupt_remapping | compatibility_format;
};

/// FSTS_REG (11.4.9.1)
struct FaultStatus {
    static constexpr std::uint32_t overflow = 1U << 0;              // PFO
    static constexpr std::uint32_t pending = 1U << 1;               // PPF
    static constexpr std::uint32_t queue_error = 1U << 4;           // IQE
    static constexpr std::uint32_t completion_error = 1U << 5;      // ICE
    static constexpr std::uint32_t invalidation_timeout = 1U << 6;  // ITE
    static constexpr std::uint32_t queue_errors = queue_error | completion_error | invalidation_timeout;
};

inline constexpr std::uint32_t fault_event_masked = 1U << 31;  // FECTL_REG.IM

/// CAP_REG (11.4.2)
struct Capability {
    std::uint64_t bits = 0;

    [[nodiscard]] constexpr std::uint32_t domains() const { return 1U << (4 + 2 * (bits & 7)); }

    [[nodiscard]] constexpr bool flushes_write_buffer() const { return (bits >> 4 & 1) != 0; }

    [[nodiscard]] constexpr bool protected_memory() const { return (bits >> 5 & 3) != 0; }

    [[nodiscard]] constexpr bool caching_mode() const { return (bits >> 7 & 1) != 0; }

    /// Tables of `levels` (3 to 5) are walked.
    [[nodiscard]] constexpr bool walks(unsigned levels) const { return (bits >> (8 + levels - 2) & 1) != 0; }

    /// Widest address that can be translated.
    [[nodiscard]] constexpr unsigned address_bits() const {
        return static_cast<unsigned>(bits >> 16 & 0x3f) + 1;
    }

    [[nodiscard]] constexpr std::size_t fault_offset() const { return (bits >> 24 & 0x3ff) * 16; }

    [[nodiscard]] constexpr std::size_t fault_records() const { return (bits >> 40 & 0xff) + 1; }

    [[nodiscard]] constexpr bool invalidates_pages() const { return (bits >> 39 & 1) != 0; }

    /// Largest order of one page-selective invalidation.
    [[nodiscard]] constexpr unsigned largest_order() const {
        return static_cast<unsigned>(bits >> 48 & 0x3f);
    }
};

/// ECAP_REG (11.4.3)
struct ExtendedCapability {
    std::uint64_t bits = 0;

    /// The unit's reads of tables see what is in the processors' caches.
    [[nodiscard]] constexpr bool coherent() const { return (bits & 1) != 0; }

    [[nodiscard]] constexpr bool queued_invalidation() const { return (bits >> 1 & 1) != 0; }

    [[nodiscard]] constexpr bool interrupt_remapping() const { return (bits >> 3 & 1) != 0; }

    [[nodiscard]] constexpr bool extended_interrupts() const { return (bits >> 4 & 1) != 0; }
};

/// One fault recording register (11.4.13), as two quad words.
struct FaultRecord {
    static constexpr std::size_t bytes = 16;
    static constexpr std::uint64_t present = std::uint64_t{1} << 63;  // F, of the upper half

    std::uint64_t low = 0;
    std::uint64_t high = 0;

    [[nodiscard]] constexpr bool valid() const { return (high & present) != 0; }

    [[nodiscard]] constexpr std::uint16_t source() const { return static_cast<std::uint16_t>(high); }

    [[nodiscard]] constexpr std::uint8_t reason() const { return static_cast<std::uint8_t>(high >> 32); }

    [[nodiscard]] constexpr bool is_write() const { return (high >> 62 & 1) == 0; }

    [[nodiscard]] constexpr std::uint64_t address() const { return low & ~std::uint64_t{page_size - 1}; }

    /// Of an interrupt fault: the entry that was asked for.
    [[nodiscard]] constexpr std::uint16_t interrupt_index() const {
        return static_cast<std::uint16_t>(low >> 48);
    }

    [[nodiscard]] constexpr bool is_interrupt() const { return reason() >= 0x20 && reason() <= 0x2f; }
};

}  // namespace pv::iommu
