// The symbol table that a Linux kernel carries inside itself (CONFIG_KALLSYMS), found without any symbol.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"

namespace pv::profiles {

struct KernelSymbol {
    std::uint64_t address = 0;  ///< as linked: before the kernel moves itself (KASLR)
    char type = '?';            ///< as nm prints it: T and t are code
    std::string name;
};

/// Reads the table out of `data`, the bytes of the section it lies in (.rodata), as scripts/kallsyms.c writes
/// it in Linux 4.20 to 6.12, with CONFIG_KALLSYMS_BASE_RELATIVE, as x86-64 has it: a table of 256 tokens,
/// names made of tokens, a mark for each 256th name, offsets from a base. Its parts name their own lengths,
/// so that each can be told from what only looks like it. In the order of the table: by address. Errors:
/// usage: there is none.
[[nodiscard]] Result<std::vector<KernelSymbol>> kallsyms(std::string_view data);

}  // namespace pv::profiles
