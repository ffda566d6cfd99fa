// The symbol table embedded in the kernel image: written by tools/embed_symbols at link time, read by back
// traces.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>

/// Layout of section .pv_symbols: header, `count` entries sorted by offset, then `names_size` bytes of names,
/// each ended by a zero byte. Both sides of the build use this file.
namespace pv::arch {

struct SymbolTableHeader {
    std::uint32_t magic;  ///< symbol_table_magic
    std::uint32_t count;
    std::uint32_t names_size;
    std::uint32_t reserved;
};

struct SymbolEntry {
    std::uint32_t offset;  ///< from pv_text_start
    std::uint32_t size;    ///< bytes; 0 where the symbol has none
    std::uint32_t name;    ///< offset into the names
};

inline constexpr std::uint32_t symbol_table_magic = 0x5359'5650;  // "PVYS"

}  // namespace pv::arch
