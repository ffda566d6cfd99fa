// Reads symbol tables.
// SPDX-License-Identifier: MIT
#include "domain/symbols.hpp"

#include <cxxabi.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <gelf.h>
#include <libelf.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <string>

#include "base/file.hpp"

namespace pv::domain {
namespace {

struct ElfEnd {
    void operator()(Elf* elf) const { elf_end(elf); }
};

struct Freed {
    void operator()(char* text) const { std::free(text); }
};

/// A C++ symbol as a person names it: demangled, without the parameters, which only push the name off the
/// line. Anything else as it is. Length bounded: a hostile file may hold a name that unfolds without end.
std::string readable(const char* symbol) {
    constexpr std::size_t longest = 512;
    const std::string_view mangled(symbol);
    if (!mangled.starts_with("_Z") || mangled.size() > longest) {
        return std::string(mangled.substr(0, longest));
    }
    int status = 0;
    const std::unique_ptr<char, Freed> demangled(abi::__cxa_demangle(symbol, nullptr, nullptr, &status));
    if (status != 0 || demangled == nullptr) {
        return std::string(mangled);
    }
    std::string name(demangled.get());
    // The parameter list is what the last closing parenthesis closes (` const` and clones may follow it).
    std::size_t depth = 0;
    for (std::size_t i = name.rfind(')'); i != std::string::npos && i > 0; --i) {
        depth += name[i] == ')' ? 1U : 0U;
        depth -= name[i] == '(' ? 1U : 0U;
        if (depth == 0) {
            name.resize(i);
            break;
        }
    }
    name.resize(std::min(name.size(), longest));
    return name;
}

Result<std::size_t> read_elf(int descriptor, const std::function<Result<>(const KernelSymbol&)>& take) {
    elf_version(EV_CURRENT);
    const std::unique_ptr<Elf, ElfEnd> elf(elf_begin(descriptor, ELF_C_READ, nullptr));
    std::size_t taken = 0;
    for (Elf_Scn* section = nullptr;
         elf != nullptr && (section = elf_nextscn(elf.get(), section)) != nullptr;) {
        GElf_Shdr header;
        if (gelf_getshdr(section, &header) == nullptr || header.sh_type != SHT_SYMTAB ||
            header.sh_entsize == 0) {
            continue;
        }
        Elf_Data* data = elf_getdata(section, nullptr);
        const std::size_t count = data == nullptr ? 0 : data->d_size / header.sh_entsize;
        for (std::size_t i = 0; i < count && i <= INT32_MAX; ++i) {
            GElf_Sym symbol;
            if (gelf_getsym(data, static_cast<int>(i), &symbol) == nullptr) {
                break;
            }
            const unsigned type = GELF_ST_TYPE(symbol.st_info);
            const char* name = elf_strptr(elf.get(), header.sh_link, symbol.st_name);
            if ((type == STT_FUNC || type == STT_OBJECT) && symbol.st_value != 0 && name != nullptr &&
                *name != '\0') {
                PV_TRY(take({symbol.st_value, symbol.st_size, readable(name)}));
                ++taken;
            }
        }
    }
    return taken;
}

Result<std::size_t> read_map(const std::filesystem::path& path,
                             const std::function<Result<>(const KernelSymbol&)>& take) {
    const auto refuse = [&] {
        return fail(ExitStatus::usage,
                    fmt::format("symbols '{}': neither an ELF file nor a System.map", path.string()),
                    "give the kernel's vmlinux, or its System.map (lines of address, type and name)");
    };
    std::ifstream file(path);
    std::size_t taken = 0;
    for (std::string line; std::getline(file, line);) {
        std::uint64_t address = 0;
        const auto [end, problem] = std::from_chars(line.data(), line.data() + line.size(), address, 16);
        const std::string_view rest(end, static_cast<std::size_t>(line.data() + line.size() - end));
        if (problem != std::errc() || rest.size() < 4 || rest[0] != ' ' || rest[2] != ' ') {
            return refuse();
        }
        const std::string_view name = rest.substr(3);
        if (address != 0 && std::string_view("tTwWdDbBrR").find(rest[1]) != std::string_view::npos) {
            PV_TRY(take({address, 0, name.substr(0, 512)}));
            ++taken;
        }
    }
    return taken;
}

}  // namespace

Result<std::size_t> read_symbols(const std::filesystem::path& path,
                                 const std::function<Result<>(const KernelSymbol&)>& take) {
    const Descriptor file = PV_TRY(open_regular(path, O_RDONLY, "symbols"));
    std::array<char, SELFMAG> magic{};
    if (::pread(file.get(), magic.data(), magic.size(), 0) == SELFMAG &&
        std::string_view(magic.data(), magic.size()) == std::string_view(ELFMAG, SELFMAG)) {
        return read_elf(file.get(), take);
    }
    return read_map(path, take);
}

}  // namespace pv::domain
