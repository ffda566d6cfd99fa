// The image's place among the addresses, and that of the other parts of the kernel's half: chosen by chance,
// before any address of them is used.
// SPDX-License-Identifier: MIT
// This runs where the image lies in memory, not where it was linked: code finds its data by its own distance,
// but no address in data holds before relocate(): no virtual call, no table of pointers or functions.
#include <algorithm>
#include <array>
#include <string_view>

#include "arch/entropy.hpp"
#include "arch/x86_64/image.hpp"
#include "arch/x86_64/layout.hpp"
#include "arch/x86_64/page_table.hpp"
#include "arch/x86_64/page_table_entry.hpp"
#include "boot/options.hpp"
#include "boot/start_info.hpp"
#include "memory/direct_map.hpp"

extern "C" {
// Relative relocations as the linker packs them: generic ABI, SHT_RELR.
extern const std::uint64_t pv_relocations_start[], pv_relocations_end[];
}

namespace pv::arch {
namespace {

using namespace paging;

constexpr std::uint64_t large_page = 2ULL << 20;
constexpr std::uint64_t gigabyte = 1ULL << 30;
constexpr std::uint64_t image_tables = 8;  // 2 MiB each: the image with what lies below it (kernel.ld)

// All of the upper 2 GiB, without its last 2 MiB: no object ends where addresses do.
constexpr std::uint64_t image_places = 2 * entries_per_table - image_tables;
// As much address space again as the direct map has.
constexpr std::uint64_t direct_map_places = memory::direct_map_size / gigabyte;
// The entries of the top level between the direct map's half and the image's; in one of them, the first half.
constexpr unsigned space_first_entry = 384;
constexpr std::uint64_t space_entries = 511 - space_first_entry;
constexpr std::uint64_t space_pages = size_of(top_level) / 2 / page_size;

using Table = std::array<std::uint64_t, entries_per_table>;

}  // namespace

/// As entry.S lays them out.
struct BootTables {
    Table pml4, pdpt_low, pd_low, pdpt_direct, pd_direct, pdpt_image;
    std::array<std::uint64_t, 2 * entries_per_table> pd_image;  // of the upper 2 GiB
    std::array<std::uint64_t, image_tables * entries_per_table> pt_image;
};

namespace {

std::uint64_t entry_for(const void* table) {
    return reinterpret_cast<std::uintptr_t>(table) | present | writable;  // it lies where this runs
}

// The loader's memory that the boot tables show: the first GiB, without the 2 MiB pages of the image.
std::string_view loaded_text(std::uint64_t address, std::size_t longest) {
    const std::uint64_t image_end = align_up(address_of(pv_image_end), large_page);
    const bool below = address < address_of(pv_image_start);
    const std::uint64_t end = below ? address_of(pv_image_start) : gigabyte;
    if (address == 0 || address >= end || (!below && address < image_end)) {
        return {};
    }
    return {reinterpret_cast<const char*>(memory_half + address),
            static_cast<std::size_t>(std::min<std::uint64_t>(longest, end - address))};
}

boot::StartInfo read_info(std::uint64_t address) {
    boot::StartInfo info{};
    const std::string_view bytes = loaded_text(address, sizeof info);
    if (bytes.size() == sizeof info) {
        std::copy(bytes.begin(), bytes.end(), reinterpret_cast<char*>(&info));
    }
    return info;
}

bool is_unwanted(const boot::StartInfo& info) {
    const std::string_view text = loaded_text(info.command_line, boot::command_line_max);
    return boot::CommandLine(text.substr(0, text.find('\0'))).option("nokaslr").has_value();
}

// SplitMix64's finalizer: each bit of the result depends on all bits of the argument.
std::uint64_t mix(std::uint64_t x) {
    x = (x ^ x >> 30) * 0xbf58'476d'1ce4'e5b9;
    x = (x ^ x >> 27) * 0x94d0'49bb'1331'11eb;
    return x ^ x >> 31;
}

// One of so many, with a part of `chance` that no other draw uses.
std::uint64_t draw(std::uint64_t& chance, std::uint64_t places) {
    const std::uint64_t drawn = chance % places;
    chance /= places;
    return drawn;
}

void relocate(std::uint64_t slide) {
    const std::uint64_t here = address_of(pv_image_start) - linked_image_begin;
    std::uint64_t* next = nullptr;
    for (const std::uint64_t* at = pv_relocations_start; at != pv_relocations_end; ++at) {
        if (*at % 2 == 0) {
            next = reinterpret_cast<std::uint64_t*>(*at + here);
            *next++ += slide;
            continue;
        }
        for (unsigned bit = 1; bit < 64; ++bit, ++next) {
            if ((*at >> bit & 1) != 0) {
                *next += slide;
            }
        }
    }
}

void protect_constants(BootTables& tables) {
    for (std::uint64_t at = address_of(pv_rodata_start); at < address_of(pv_rodata_end); at += page_size) {
        tables.pt_image[at / page_size] &= ~writable;
    }
}

}  // namespace

/// From entry.S, once: chooses the places, writes them to `layout`, makes the image fit for its place and
/// maps it there, and the direct map's first GiB at its. Returns what to add to an address where it runs now.
extern "C" std::uint64_t pv_place_image(std::uint64_t start_info, BootTables& tables, Layout& layout) {
    const boot::StartInfo info = read_info(start_info);
    std::uint64_t slide = 0;
    layout.chance = Chance::none;
    if (!is_unwanted(info)) {
        const auto word = random_word();
        layout.chance = word ? Chance::processor : Chance::clock;
        std::uint64_t chance = word.value_or(mix(mix(cycle_count()) + info.rsdp + info.memory_map));
        slide = draw(chance, image_places) * large_page;
        layout.direct_map_base = memory_half + draw(chance, direct_map_places) * gigabyte;
        layout.space_begin =
            memory_half +
            (space_first_entry - entries_per_table / 2 + draw(chance, space_entries)) * size_of(top_level) +
            draw(chance, space_pages) * page_size;
    }
    relocate(slide);
    protect_constants(tables);

    tables.pml4[entries_per_table / 2] = 0;
    tables.pdpt_direct = {};
    tables.pml4[index_of(layout.direct_map_base, top_level)] = entry_for(&tables.pdpt_direct);
    tables.pdpt_direct[index_of(layout.direct_map_base, top_level - 1)] = entry_for(&tables.pd_direct);
    tables.pml4[index_of(linked_image_begin, top_level)] = entry_for(&tables.pdpt_image);
    for (std::uint64_t i = 0; i < 2; ++i) {
        tables.pdpt_image[entries_per_table - 2 + i] = entry_for(&tables.pd_image[i * entries_per_table]);
    }
    for (std::uint64_t i = 0; i < image_tables; ++i) {
        tables.pd_image[slide / large_page + i] = entry_for(&tables.pt_image[i * entries_per_table]);
    }
    return linked_image_begin + slide - address_of(pv_image_start);
}

}  // namespace pv::arch
