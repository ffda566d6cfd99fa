// The symbols of a guest's kernel, for addresses in events and findings.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string_view>

#include "base/error.hpp"

namespace pv::domain {

struct KernelSymbol {
    std::uint64_t address = 0;
    std::uint64_t size = 0;  ///< bytes; 0 where not known
    std::string_view name;   ///< valid during the call
};

/// Gives each code and data symbol of an ELF file's symbol table, or of a System.map (`nm` form: address,
/// type, name), to `take`, C++ names demangled and without parameters; what it returns as an error ends the
/// reading. A file without symbols gives none. Errors: usage: not readable, neither ELF nor System.map.
Result<std::size_t> read_symbols(const std::filesystem::path& path,
                                 const std::function<Result<>(const KernelSymbol&)>& take);

}  // namespace pv::domain
