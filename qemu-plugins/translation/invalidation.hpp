// What each instruction makes a processor forget: the rules of the architecture, as data.
// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

/// Intel SDM vol. 3A, 4.10.4.1 ("Operations that Invalidate TLBs and Paging-Structure Caches").
namespace pv::translation {

/// Entries of which address spaces (PCIDs) an operation reaches.
enum class Spaces : std::uint8_t { none, current, named, all };

enum class Operation : std::uint8_t {
    invlpg,
    cr3,            ///< PCIDs off, or bit 63 clear
    cr3_no_flush,   ///< PCIDs on, bit 63 set
    paging_off,     ///< CR0.PG from 1 to 0
    global_toggle,  ///< CR4.PGE changed
    pcid_off,       ///< CR4.PCIDE from 1 to 0
    pae_toggle,     ///< CR4.PAE changed
    smep_on,        ///< CR4.SMEP from 0 to 1
    invpcid_address,
    invpcid_space,
    invpcid_all,
    invpcid_all_but_global,
    reset,  ///< INIT, start-up
};

/// At least this is forgotten; a processor may forget more at any time.
struct Effect {
    Operation operation;
    std::string_view name;
    bool one_page;      ///< the page of the operand alone; else every page
    Spaces pages;       ///< TLB entries that are not global
    bool globals;       ///< those that are global too, whatever the address space
    Spaces structures;  ///< entries of the paging-structure caches: for every linear address, but see below
    bool one_way;       ///< of those only the ones on the way to the operand
};

inline constexpr std::array<Effect, 13> effects{{
    {Operation::invlpg, "invlpg", true, Spaces::current, true, Spaces::current, false},
    {Operation::cr3, "mov to CR3", false, Spaces::named, false, Spaces::named, false},
    {Operation::cr3_no_flush, "mov to CR3, bit 63 set", false, Spaces::none, false, Spaces::none, false},
    {Operation::paging_off, "CR0.PG cleared", false, Spaces::all, true, Spaces::all, false},
    {Operation::global_toggle, "CR4.PGE changed", false, Spaces::all, true, Spaces::all, false},
    {Operation::pcid_off, "CR4.PCIDE cleared", false, Spaces::all, true, Spaces::all, false},
    {Operation::pae_toggle, "CR4.PAE changed", false, Spaces::current, false, Spaces::current, false},
    {Operation::smep_on, "CR4.SMEP set", false, Spaces::current, false, Spaces::current, false},
    {Operation::invpcid_address, "invpcid 0", true, Spaces::named, false, Spaces::named, true},
    {Operation::invpcid_space, "invpcid 1", false, Spaces::named, false, Spaces::named, false},
    {Operation::invpcid_all, "invpcid 2", false, Spaces::all, true, Spaces::all, false},
    {Operation::invpcid_all_but_global, "invpcid 3", false, Spaces::all, false, Spaces::all, false},
    {Operation::reset, "INIT", false, Spaces::all, true, Spaces::all, false},
}};

constexpr const Effect& effect_of(Operation operation) {
    return effects[static_cast<std::size_t>(operation)];
}

static_assert([] {
    for (std::size_t i = 0; i < effects.size(); ++i) {
        if (static_cast<std::size_t>(effects[i].operation) != i) {
            return false;
        }
    }
    return true;
}());

/// Bits of the control registers that translation depends on.
enum ControlBit : std::uint64_t {
    cr0_paging = 1ULL << 31,
    cr4_pae = 1ULL << 5,
    cr4_global_pages = 1ULL << 7,
    cr4_five_levels = 1ULL << 12,
    cr4_pcid = 1ULL << 17,
    cr4_smep = 1ULL << 20,
    cr3_no_flush_bit = 1ULL << 63,
    cr3_pcid_mask = 0xfff,
};

/// What a processor translates by.
struct Control {
    std::uint64_t cr0 = 0;
    std::uint64_t cr3 = 0;  ///< as it reads: without bit 63
    std::uint64_t cr4 = 0;
    bool long_mode = false;  ///< IA32_EFER.LMA

    [[nodiscard]] constexpr bool translates() const { return (cr0 & cr0_paging) != 0; }

    /// Tables of the form that is followed here are in use.
    [[nodiscard]] constexpr bool is_followed() const { return translates() && long_mode; }

    [[nodiscard]] constexpr unsigned top_level() const { return (cr4 & cr4_five_levels) != 0 ? 5 : 4; }

    [[nodiscard]] constexpr std::uint64_t root() const { return cr3 & 0x000f'ffff'ffff'f000; }

    [[nodiscard]] constexpr bool has_pcids() const { return (cr4 & cr4_pcid) != 0; }

    [[nodiscard]] constexpr std::uint16_t pcid() const {
        return has_pcids() ? static_cast<std::uint16_t>(cr3 & cr3_pcid_mask) : std::uint16_t{0};
    }

    [[nodiscard]] constexpr bool has_globals() const { return (cr4 & cr4_global_pages) != 0; }

    bool operator==(const Control&) const = default;
};

}  // namespace pv::translation
