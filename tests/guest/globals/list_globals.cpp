// Lists every variable that the kernel may write, with its type: "NAME<tab>TYPE<tab>FILE:LINE", one a line.
// SPDX-License-Identifier: MIT
//
// usage: list_globals KERNEL.elf
#include <dwarf.h>
#include <elfutils/libdw.h>
#include <fcntl.h>
#include <gelf.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstring>
#include <map>
#include <set>
#include <string>
#include <vector>

namespace {

struct Range {
    std::uint64_t begin, end;
};

std::vector<Range> writable;
std::map<std::uint64_t, std::string> symbols;  // variables that have one, by address
std::set<std::uint64_t> described;

std::string name_of(Dwarf_Die* die) {
    Dwarf_Attribute attribute;
    const char* name = dwarf_formstring(dwarf_attr_integrate(die, DW_AT_name, &attribute));
    return name == nullptr ? "" : name;
}

bool type_of(Dwarf_Die* die, Dwarf_Die* type) {
    Dwarf_Attribute attribute;
    return dwarf_formref_die(dwarf_attr_integrate(die, DW_AT_type, &attribute), type) != nullptr;
}

/// The type's name, without const, volatile, typedefs and the dimensions of arrays. Pointers keep a star.
std::string type_name(Dwarf_Die* die) {
    Dwarf_Die type;
    if (!type_of(die, &type)) {
        return "void";
    }
    switch (dwarf_tag(&type)) {
        case DW_TAG_typedef:
        case DW_TAG_volatile_type:
        case DW_TAG_array_type:
            return type_name(&type);
        case DW_TAG_const_type:
            return "const " + type_name(&type);
        case DW_TAG_pointer_type:
        case DW_TAG_reference_type:
            return type_name(&type) + "*";
        default:
            return name_of(&type);
    }
}

/// An address that the variable always has, if there is one.
bool address_of(Dwarf_Die* die, std::uint64_t& address) {
    Dwarf_Attribute attribute;
    Dwarf_Op* operations = nullptr;
    std::size_t count = 0;
    if (dwarf_attr(die, DW_AT_location, &attribute) == nullptr ||
        dwarf_getlocation(&attribute, &operations, &count) != 0 || count != 1 ||
        operations[0].atom != DW_OP_addr) {
        return false;
    }
    address = operations[0].number;
    return true;
}

bool is_writable(std::uint64_t address) {
    for (const Range& range : writable) {
        if (address >= range.begin && address < range.end) {
            return true;
        }
    }
    return false;
}

void walk(Dwarf_Die* parent, const std::string& scope) {
    Dwarf_Die die;
    if (dwarf_child(parent, &die) != 0) {
        return;
    }
    do {
        const int tag = dwarf_tag(&die);
        std::uint64_t address = 0;
        if (tag == DW_TAG_variable && address_of(&die, address) && is_writable(address) &&
            described.insert(address).second) {
            const char* file = dwarf_decl_file(&die);
            int line = 0;
            dwarf_decl_line(&die, &line);
            std::printf("%s\t%s\t%s:%d\n", (scope + name_of(&die)).c_str(), type_name(&die).c_str(),
                        file == nullptr ? "" : file, line);
        }
        if (dwarf_haschildren(&die) != 0) {
            const std::string name = name_of(&die);
            const bool is_named = tag == DW_TAG_namespace || tag == DW_TAG_subprogram ||
                                  tag == DW_TAG_structure_type || tag == DW_TAG_class_type;
            walk(&die, is_named && !name.empty() ? scope + name + "::" : scope);
        }
    } while (dwarf_siblingof(&die, &die) == 0);
}

/// The kernel's page tables let nothing but .data and .bss be written, whatever a section's flags are.
void read_sections(Elf* elf) {
    std::size_t names = 0;
    elf_getshdrstrndx(elf, &names);
    for (Elf_Scn* section = elf_nextscn(elf, nullptr); section != nullptr;
         section = elf_nextscn(elf, section)) {
        GElf_Shdr header;
        if (gelf_getshdr(section, &header) == nullptr) {
            continue;
        }
        const char* section_name = elf_strptr(elf, names, header.sh_name);
        if (section_name != nullptr &&
            (std::strcmp(section_name, ".data") == 0 || std::strcmp(section_name, ".bss") == 0)) {
            writable.push_back({header.sh_addr, header.sh_addr + header.sh_size});
        }
        if (header.sh_type != SHT_SYMTAB || header.sh_entsize == 0) {
            continue;
        }
        Elf_Data* data = elf_getdata(section, nullptr);
        for (int i = 0; i < static_cast<int>(header.sh_size / header.sh_entsize); ++i) {
            GElf_Sym symbol;
            const char* name = gelf_getsym(data, i, &symbol) == nullptr
                                   ? nullptr
                                   : elf_strptr(elf, header.sh_link, symbol.st_name);
            if (name != nullptr && GELF_ST_TYPE(symbol.st_info) == STT_OBJECT) {
                symbols.emplace(symbol.st_value, name);
            }
        }
    }
}

}  // namespace

int main(int argc, char** argv) {
    const int file = argc == 2 ? open(argv[1], O_RDONLY | O_CLOEXEC) : -1;
    Dwarf* dwarf = file < 0 ? nullptr : dwarf_begin(file, DWARF_C_READ);
    if (dwarf == nullptr) {
        std::fprintf(stderr, "usage: list_globals KERNEL.elf (with debug information)\n");
        return 2;
    }
    read_sections(dwarf_getelf(dwarf));
    Dwarf_CU* unit = nullptr;
    Dwarf_Die die;
    while (dwarf_get_units(dwarf, unit, &unit, nullptr, nullptr, &die, nullptr) == 0) {
        walk(&die, "");
    }
    // What has a symbol only is as writable: assembly's, the compiler's own.
    for (const auto& [address, name] : symbols) {
        if (is_writable(address) && !described.contains(address)) {
            std::printf("%s\t?\t\n", name.c_str());
        }
    }
    dwarf_end(dwarf);
    close(file);
    return 0;
}
