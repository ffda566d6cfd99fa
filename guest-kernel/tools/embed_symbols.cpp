// Writes the kernel's function symbols as assembly for its second link: embed_symbols KERNEL.elf OUTPUT.S
// SPDX-License-Identifier: MIT
#include <cxxabi.h>
#include <fcntl.h>
#include <gelf.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include "arch/x86_64/symbol_table.hpp"

namespace {

struct Symbol {
    std::uint64_t address;
    std::uint64_t size;
    std::string name;
};

struct ElfCloser {
    void operator()(Elf* elf) const { elf_end(elf); }
};

std::string readable(const char* mangled) {
    int status = 0;
    const std::unique_ptr<char, decltype(&std::free)> name(
        abi::__cxa_demangle(mangled, nullptr, nullptr, &status), &std::free);
    return status == 0 ? name.get() : mangled;
}

// Functions of the file, and where its text begins.
bool read_symbols(Elf* elf, std::vector<Symbol>& symbols, std::uint64_t& text) {
    bool found_text = false;
    for (Elf_Scn* section = nullptr; (section = elf_nextscn(elf, section)) != nullptr;) {
        GElf_Shdr header;
        if (gelf_getshdr(section, &header) == nullptr || header.sh_type != SHT_SYMTAB ||
            header.sh_entsize == 0) {
            continue;
        }
        Elf_Data* data = elf_getdata(section, nullptr);
        for (std::size_t i = 0; i < header.sh_size / header.sh_entsize; ++i) {
            GElf_Sym symbol;
            if (gelf_getsym(data, static_cast<int>(i), &symbol) == nullptr) {
                return false;
            }
            const char* name = elf_strptr(elf, header.sh_link, symbol.st_name);
            if (name == nullptr) {
                continue;
            }
            if (std::string_view(name) == "pv_text_start") {
                text = symbol.st_value;
                found_text = true;
            }
            if (GELF_ST_TYPE(symbol.st_info) == STT_FUNC && symbol.st_shndx != SHN_UNDEF) {
                symbols.push_back({symbol.st_value, symbol.st_size, readable(name)});
            }
        }
    }
    return found_text;
}

void write_assembly(std::ostream& out, const std::vector<Symbol>& symbols, std::uint64_t text) {
    out << "    .section .pv_symbols, \"a\", @progbits\n    .balign 8\n    .globl pv_symbol_table\n"
           "pv_symbol_table:\n";
    std::uint64_t names_size = 0;
    for (const Symbol& symbol : symbols) {
        names_size += symbol.name.size() + 1;
    }
    out << "    .long " << pv::arch::symbol_table_magic << ", " << symbols.size() << ", " << names_size
        << ", 0\n";
    std::uint64_t name = 0;
    for (const Symbol& symbol : symbols) {
        out << "    .long " << symbol.address - text << ", " << symbol.size << ", " << name << '\n';
        name += symbol.name.size() + 1;
    }
    for (const Symbol& symbol : symbols) {
        out << "    .asciz \"" << symbol.name << "\"\n";  // no symbol name has a quote or a backslash
    }
    out << "    .section .note.GNU-stack, \"\", @progbits\n";
}

}  // namespace

int main(int argc, char** argv) {
    if (argc != 3) {
        std::cerr << "usage: embed_symbols KERNEL.elf OUTPUT.S\n";
        return 2;
    }
    elf_version(EV_CURRENT);
    const int file = open(argv[1], O_RDONLY | O_CLOEXEC);
    const std::unique_ptr<Elf, ElfCloser> elf(file < 0 ? nullptr : elf_begin(file, ELF_C_READ, nullptr));
    std::vector<Symbol> symbols;
    std::uint64_t text = 0;
    if (elf == nullptr || !read_symbols(elf.get(), symbols, text)) {
        std::cerr << "embed_symbols: " << argv[1] << ": no ELF file with a symbol table and pv_text_start\n";
        return 1;
    }
    std::erase_if(symbols,
                  [&](const Symbol& s) { return s.address < text || s.address - text > 0xffffffff; });
    std::sort(symbols.begin(), symbols.end(), [](const Symbol& a, const Symbol& b) {
        return a.address != b.address ? a.address < b.address : a.name < b.name;
    });
    // Several names of one address (constructors, aliases): the first will do.
    symbols.erase(std::unique(symbols.begin(), symbols.end(),
                              [](const Symbol& a, const Symbol& b) { return a.address == b.address; }),
                  symbols.end());
    std::ofstream out(argv[2]);
    write_assembly(out, symbols, text);
    out.close();
    close(file);
    if (!out) {
        std::cerr << "embed_symbols: cannot write " << argv[2] << '\n';
        return 1;
    }
    return 0;
}
