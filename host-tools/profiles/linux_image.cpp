// The boot protocol says where the payload lies; libarchive unpacks it, libelf knows its sections.
// SPDX-License-Identifier: MIT
#include "profiles/linux_image.hpp"

#include <archive.h>
#include <archive_entry.h>
#include <elf.h>
#include <fmt/format.h>
#include <gelf.h>
#include <libelf.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <memory>

#include "base/file.hpp"

namespace pv::profiles {
namespace {

constexpr std::size_t most_file = std::size_t{1} << 30;  // a vmlinux with debug information
constexpr std::size_t most_unpacked = std::size_t{512} << 20;

// Documentation/arch/x86/boot.rst, "The Real-Mode Kernel Header".
constexpr std::size_t setup_sectors_at = 0x1f1;
constexpr std::size_t magic_at = 0x202;
constexpr std::size_t version_at = 0x206;
constexpr std::size_t payload_offset_at = 0x248;
constexpr std::size_t payload_length_at = 0x24c;
constexpr std::uint16_t version_with_payload = 0x0208;
constexpr std::size_t sector = 512;

template <class T>
T load(std::string_view data, std::size_t at) {
    T value;
    std::memcpy(&value, data.data() + at, sizeof value);
    return value;
}

struct ReaderEnd {
    void operator()(archive* reader) const { archive_read_free(reader); }
};

/// What the kernel's own decompressor would make of the payload, up to where it is damaged: the ELF file's
/// own numbers tell whether it is whole.
std::string unpack(std::string_view payload) {
    const std::unique_ptr<archive, ReaderEnd> reader(archive_read_new());
    std::string data;
    archive_entry* entry = nullptr;
    if (reader == nullptr || archive_read_support_filter_all(reader.get()) < ARCHIVE_WARN ||
        archive_read_support_format_raw(reader.get()) != ARCHIVE_OK ||
        archive_read_open_memory(reader.get(), payload.data(), payload.size()) != ARCHIVE_OK ||
        archive_read_next_header(reader.get(), &entry) != ARCHIVE_OK) {
        return data;
    }
    std::array<char, 65536> buffer{};
    for (;;) {
        const la_ssize_t got = archive_read_data(reader.get(), buffer.data(), buffer.size());
        if (got <= 0 || data.size() + static_cast<std::size_t>(got) > most_unpacked) {
            return data;
        }
        data.append(buffer.data(), static_cast<std::size_t>(got));
    }
}

Result<std::string> unpack_kernel(std::string_view file, const std::string& name) {
    const std::size_t setup = static_cast<unsigned char>(file[setup_sectors_at]);
    const std::size_t begin =
        ((setup == 0 ? 4 : setup) + 1) * sector + load<std::uint32_t>(file, payload_offset_at);
    const std::size_t length = load<std::uint32_t>(file, payload_length_at);
    if (load<std::uint16_t>(file, version_at) < version_with_payload || begin > file.size() ||
        length > file.size() - begin) {
        return fail(ExitStatus::usage, fmt::format("kernel '{}' is a damaged bzImage, or an old one", name),
                    "its header does not say where its payload lies (boot protocol 2.08, Linux 2.6.24)");
    }
    std::string_view payload = file.substr(begin, length);
    // Formats that do not end with the unpacked length, as gzip does, are followed by it
    // (scripts/Makefile.lib, size_append).
    constexpr std::string_view gzip = "\x1f\x8b";
    payload.remove_suffix(payload.starts_with(gzip) || payload.size() < 4 ? 0 : 4);
    return unpack(payload);
}

struct ElfEnd {
    void operator()(Elf* elf) const { elf_end(elf); }
};

}  // namespace

Result<LinuxImage> LinuxImage::read(const std::filesystem::path& path) {
    std::string file = PV_TRY(read_regular(path, "kernel", most_file));
    if (file.size() > payload_length_at + 4 && file.compare(magic_at, 4, "HdrS") == 0) {
        file = PV_TRY(unpack_kernel(file, path.string()));
    }
    LinuxImage image(std::move(file));
    PV_TRY(image.find_sections(path.string()));
    return image;
}

Result<> LinuxImage::find_sections(const std::string& name) {
    elf_version(EV_CURRENT);
    const std::unique_ptr<Elf, ElfEnd> elf(elf_memory(elf_.data(), elf_.size()));
    GElf_Ehdr header;
    std::size_t names = 0;
    if (elf == nullptr || elf_kind(elf.get()) != ELF_K_ELF || gelf_getehdr(elf.get(), &header) == nullptr ||
        gelf_getclass(elf.get()) != ELFCLASS64 || header.e_machine != EM_X86_64 ||
        elf_getshdrstrndx(elf.get(), &names) != 0) {
        return fail(ExitStatus::usage,
                    fmt::format("'{}' is no Linux kernel for 64-bit x86 that can be unpacked", name),
                    "give the bzImage (vmlinuz) as it was built, or the vmlinux");
    }
    for (Elf_Scn* scn = nullptr; (scn = elf_nextscn(elf.get(), scn)) != nullptr;) {
        GElf_Shdr section;
        if (gelf_getshdr(scn, &section) == nullptr || section.sh_type == SHT_NOBITS ||
            section.sh_offset > elf_.size() || section.sh_size > elf_.size() - section.sh_offset) {
            continue;
        }
        const char* text = elf_strptr(elf.get(), names, section.sh_name);
        sections_.push_back(
            {text == nullptr ? "" : text, section.sh_addr, section.sh_offset, section.sh_size});
    }
    return {};
}

std::string_view LinuxImage::section(std::string_view name) const {
    const auto found = std::ranges::find(sections_, name, &Section::name);
    return found == sections_.end() ? std::string_view{}
                                    : std::string_view(elf_).substr(found->offset, found->length);
}

std::optional<std::string_view> LinuxImage::at(std::uint64_t address, std::size_t length) const {
    for (const Section& section : sections_) {
        if (section.address != 0 && address >= section.address &&
            address - section.address <= section.length &&
            section.length - (address - section.address) >= length) {
            return std::string_view(elf_).substr(section.offset + (address - section.address), length);
        }
    }
    return std::nullopt;
}

std::string LinuxImage::banner() const {
    const std::string_view data = section(".rodata");
    const std::size_t begin = data.find("Linux version ");
    const std::size_t end =
        begin == std::string_view::npos ? begin : data.find_first_of(std::string_view("\n\0", 2), begin);
    return end == std::string_view::npos
               ? std::string()
               : std::string(data.substr(begin, std::min<std::size_t>(end - begin, 300)));
}

}  // namespace pv::profiles
