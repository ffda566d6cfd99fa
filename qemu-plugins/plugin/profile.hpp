// What `profile=FILE` says of a kernel: where the functions are that give memory to devices, give frames back
// and tell processors to forget translations; and its structures.
// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace pv::plugin {

/// Where an operand of a call is (System V calling convention, x86-64).
struct Operand {
    enum class Where : std::uint8_t { none, argument, pointed, result };
    Where where = Where::none;
    std::uint8_t index = 0;  ///< of the argument: 0 to 5 are rdi, rsi, rdx, rcx, r8, r9

    [[nodiscard]] bool given() const { return where != Where::none; }
};

enum class Deed : std::uint8_t {
    map,
    unmap,
    map_list,
    map_table,
    unmap_list,
    release,           ///< pages are given back: 2 to the power of `order`, from `page` on
    release_folios,    ///< those of a struct folio_batch
    shootdown,         ///< processors forget [first, last) of the tables of `space`, a struct mm_struct
    shootdown_kernel,  ///< all that run forget [first, last), in all tables; without the two everything
};

/// A function that gives memory to a device, or takes it back; or that manages memory.
struct Call {
    std::uint64_t address = 0;  ///< as linked
    Deed deed = Deed::map;
    Operand device, bus, length, page, offset, direction, list, table, count;
    Operand order, batch, space, first, last, shift;
    std::optional<std::uint64_t> failure;  ///< a result that means that nothing was mapped

    /// What a call maps is known when it returns; what it unmaps, when it begins.
    [[nodiscard]] bool at_return() const {
        return deed != Deed::unmap && deed != Deed::unmap_list && !releases();
    }

    [[nodiscard]] bool releases() const { return deed == Deed::release || deed == Deed::release_folios; }

    /// Of no concern to devices: for the probe `tlb`.
    [[nodiscard]] bool is_about_translation() const { return releases() || shoots_down(); }

    [[nodiscard]] bool shoots_down() const {
        return deed == Deed::shootdown || deed == Deed::shootdown_kernel;
    }
};

/// Offsets and sizes in the kernel's structures, bytes.
struct Layout {
    std::uint64_t device_bus = 0;                              ///< struct device: its bus_type
    std::uint64_t pci_device = 0, pci_bus = 0, pci_devfn = 0;  ///< struct pci_dev: its device, pci_bus, devfn
    std::uint64_t bus_number = 0;                              ///< struct pci_bus: its number
    std::uint64_t list_page = 0, list_offset = 0, list_length = 0, list_bus = 0, list_bus_length = 0;
    std::uint64_t table_list = 0, table_count = 0;    ///< struct sg_table
    std::uint64_t page_size = 0;                      ///< of struct page
    std::uint64_t list_size = 0;                      ///< of struct scatterlist
    std::uint64_t batch_count = 0, batch_folios = 0;  ///< struct folio_batch
    std::uint64_t folio_flags = 0, folio_order = 0;   ///< struct folio: its order is in a byte ...
    std::uint64_t head_bit = 0;                       ///< ... where this bit of the flags is set
    std::uint64_t space_root = 0;                     ///< struct mm_struct: pointer to its table
};

struct Profile {
    using Bytes = std::array<std::uint8_t, 32>;

    std::string name;
    std::uint64_t anchor = 0;    ///< a function that runs once, early, as linked
    Bytes anchor_bytes{};        ///< its first
    std::uint64_t pci_type = 0;  ///< of the bus_type of PCI devices, as linked
    std::uint64_t pages = 0;     ///< of the pointer to the first struct page, as linked
    std::uint64_t memory = 0;    ///< of the pointer to where all memory is mapped, as linked; 0: not needed
    Layout layout;
    std::vector<Call> calls;  ///< by address
};

/// Understands the file's text, as host-tools/profiles/resolve.cpp writes it. The error is one line.
[[nodiscard]] std::expected<Profile, std::string> parse_profile(std::string_view text);

}  // namespace pv::plugin
