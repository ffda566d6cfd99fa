// Reads ELF files with libelf.
// SPDX-License-Identifier: MIT
#include "images/elf.hpp"

#include <fmt/format.h>
#include <gelf.h>
#include <libelf.h>

#include <algorithm>
#include <memory>
#include <string_view>

namespace pv::images {
namespace {

struct ElfEnd {
    void operator()(Elf* elf) const { elf_end(elf); }
};

class File {
  public:
    File(Elf* elf, const std::string& bytes) : elf_(elf), bytes_(bytes) {}

    bool read_headers() {
        std::size_t count = 0;
        if (elf_getphdrnum(elf_, &count) != 0) {
            return false;
        }
        for (std::size_t i = 0; i < count; ++i) {
            GElf_Phdr header;
            if (gelf_getphdr(elf_, static_cast<int>(i), &header) == nullptr) {
                return false;
            }
            headers_.push_back(header);
        }
        return true;
    }

    [[nodiscard]] const GElf_Phdr* segment(GElf_Word type) const {
        const auto found = std::ranges::find(headers_, type, &GElf_Phdr::p_type);
        return found == headers_.end() ? nullptr : &*found;
    }

    /// The text at an offset in the file, up to its NUL; nothing when there is none.
    [[nodiscard]] std::optional<std::string> text(std::uint64_t offset) const {
        if (offset >= bytes_.size()) {
            return std::nullopt;
        }
        const std::size_t end = bytes_.find('\0', offset);
        if (end == std::string::npos) {
            return std::nullopt;
        }
        return bytes_.substr(offset, end - offset);
    }

    [[nodiscard]] std::optional<std::uint64_t> offset_of(std::uint64_t address) const {
        for (const GElf_Phdr& header : headers_) {
            if (header.p_type == PT_LOAD && address >= header.p_vaddr &&
                address - header.p_vaddr < header.p_filesz) {
                return header.p_offset + (address - header.p_vaddr);
            }
        }
        return std::nullopt;
    }

    [[nodiscard]] Elf_Data* raw(const GElf_Phdr& header) const {
        return elf_getdata_rawchunk(elf_, static_cast<std::int64_t>(header.p_offset), header.p_filesz,
                                    ELF_T_DYN);
    }

    /// Whether it has the place of its code and not the code: symbols kept apart, for debuggers.
    [[nodiscard]] bool is_without_code() const {
        for (Elf_Scn* section = elf_nextscn(elf_, nullptr); section != nullptr;
             section = elf_nextscn(elf_, section)) {
            GElf_Shdr header;
            if (gelf_getshdr(section, &header) != nullptr && header.sh_type == SHT_NOBITS &&
                (header.sh_flags & SHF_EXECINSTR) != 0) {
                return true;
            }
        }
        return false;
    }

  private:
    Elf* elf_;
    const std::string& bytes_;
    std::vector<GElf_Phdr> headers_;
};

std::vector<std::string> divided(const std::string& text) {
    std::vector<std::string> parts;
    for (std::size_t begin = 0; begin <= text.size();) {
        const std::size_t end = std::min(text.find(':', begin), text.size());
        if (end > begin) {
            parts.push_back(text.substr(begin, end - begin));
        }
        begin = end + 1;
    }
    return parts;
}

// False: the dynamic section leads nowhere.
bool read_dynamic(const File& file, const GElf_Phdr& header, ElfNeeds& needs) {
    Elf_Data* data = file.raw(header);
    if (data == nullptr) {
        return false;
    }
    std::optional<std::uint64_t> strings;
    std::vector<std::uint64_t> libraries;
    std::optional<std::uint64_t> runpath;
    std::optional<std::uint64_t> rpath;
    GElf_Dyn entry;
    for (int i = 0; gelf_getdyn(data, i, &entry) != nullptr && entry.d_tag != DT_NULL; ++i) {
        switch (entry.d_tag) {
            case DT_STRTAB:
                strings = file.offset_of(entry.d_un.d_ptr);
                break;
            case DT_NEEDED:
                libraries.push_back(entry.d_un.d_val);
                break;
            case DT_RUNPATH:
                runpath = entry.d_un.d_val;
                break;
            case DT_RPATH:
                rpath = entry.d_un.d_val;
                break;
            default:
                break;
        }
    }
    const std::optional<std::uint64_t> path = runpath ? runpath : rpath;
    if (!strings) {
        return libraries.empty() && !path;
    }
    for (const std::uint64_t library : libraries) {
        const std::optional<std::string> name = file.text(*strings + library);
        if (!name || name->empty()) {
            return false;
        }
        needs.libraries.push_back(*name);
    }
    if (path) {
        needs.run_path = divided(file.text(*strings + *path).value_or(""));
    }
    return true;
}

}  // namespace

Result<std::optional<ElfNeeds>> read_needs(const std::string& bytes, const std::string& what) {
    if (!bytes.starts_with(ELFMAG)) {
        return std::nullopt;
    }
    elf_version(EV_CURRENT);
    // libelf's interface wants bytes it may change; reading, it does not.
    const std::unique_ptr<Elf, ElfEnd> elf(elf_memory(const_cast<char*>(bytes.data()), bytes.size()));
    GElf_Ehdr header;
    const auto damaged = [&what] {
        return fail(ExitStatus::usage, fmt::format("{} is a damaged ELF file", what),
                    "`readelf -ld` shows how far it can be read; was the copy or the link cut short?");
    };
    if (elf == nullptr || elf_kind(elf.get()) != ELF_K_ELF || gelf_getehdr(elf.get(), &header) == nullptr) {
        return damaged();
    }
    if (gelf_getclass(elf.get()) != ELFCLASS64 || header.e_machine != EM_X86_64 ||
        (header.e_type != ET_EXEC && header.e_type != ET_DYN)) {
        return std::nullopt;
    }
    // libelf reads as many headers of a cut file as there are.
    const bool cut =
        header.e_phoff > bytes.size() || header.e_phnum * sizeof(Elf64_Phdr) > bytes.size() - header.e_phoff;
    File file(elf.get(), bytes);
    if (cut || !file.read_headers()) {
        return damaged();
    }
    if (file.is_without_code()) {
        return std::nullopt;
    }
    ElfNeeds needs;
    if (const GElf_Phdr* segment = file.segment(PT_INTERP)) {
        const std::optional<std::string> name = file.text(segment->p_offset);
        if (!name || !name->starts_with('/')) {
            return damaged();
        }
        needs.interpreter = *name;
    }
    if (const GElf_Phdr* segment = file.segment(PT_DYNAMIC); segment != nullptr && segment->p_filesz != 0) {
        if (!read_dynamic(file, *segment, needs)) {
            return damaged();
        }
    }
    return needs;
}

std::string script_interpreter(const std::string& bytes) {
    if (!bytes.starts_with("#!")) {
        return {};
    }
    constexpr std::size_t longest = 256;  // BINPRM_BUF_SIZE
    const std::string_view line = std::string_view(bytes).substr(2, std::min(bytes.find('\n'), longest) - 2);
    const std::size_t begin = line.find_first_not_of(" \t");
    if (begin == std::string_view::npos || line[begin] != '/') {
        return {};
    }
    const std::size_t end = std::min(line.find_first_of(" \t\r\0", begin), line.size());
    return std::string(line.substr(begin, end - begin));
}

}  // namespace pv::images
