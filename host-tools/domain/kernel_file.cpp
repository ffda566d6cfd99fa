// Looks for a bzImage header or a PVH note.
// SPDX-License-Identifier: MIT
#include "domain/kernel_file.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <gelf.h>
#include <libelf.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <memory>
#include <string_view>

#include "base/file.hpp"

namespace pv::domain {
namespace {

constexpr std::size_t boot_flag_offset = 0x1fe;     // boot.rst, "The Real-Mode Kernel Header"
constexpr std::size_t header_magic_offset = 0x202;  // "HdrS"
constexpr GElf_Word xen_phys32_entry = 18;

struct ElfEnd {
    void operator()(Elf* elf) const { elf_end(elf); }
};

bool has_pvh_note(Elf* elf) {
    std::size_t count = 0;
    if (elf_getphdrnum(elf, &count) != 0) {
        return false;
    }
    for (std::size_t i = 0; i < count; ++i) {
        GElf_Phdr header;
        if (gelf_getphdr(elf, static_cast<int>(i), &header) == nullptr || header.p_type != PT_NOTE) {
            continue;
        }
        // libelf checks that offset and size lie inside the file.
        Elf_Data* data =
            elf_getdata_rawchunk(elf, static_cast<std::int64_t>(header.p_offset), header.p_filesz,
                                 header.p_align == 8 ? ELF_T_NHDR8 : ELF_T_NHDR);
        if (data == nullptr) {
            continue;
        }
        GElf_Nhdr note;
        std::size_t name = 0;
        std::size_t description = 0;
        std::size_t offset = 0;
        while ((offset = gelf_getnote(data, offset, &note, &name, &description)) > 0) {
            const std::string_view owner(static_cast<const char*>(data->d_buf) + name, note.n_namesz);
            if (note.n_type == xen_phys32_entry && owner == std::string_view("Xen\0", 4) &&
                note.n_descsz >= 4) {
                return true;
            }
        }
    }
    return false;
}

}  // namespace

Result<KernelFormat> inspect_kernel(const std::filesystem::path& path) {
    const Descriptor file = PV_TRY(open_regular(path, O_RDONLY, "kernel"));
    std::array<char, header_magic_offset + 4> head{};
    const ssize_t length = ::pread(file.get(), head.data(), head.size(), 0);
    if (length < 0) {
        return fail(ExitStatus::usage,
                    fmt::format("kernel '{}' cannot be read: {}", path.string(), std::strerror(errno)));
    }
    const std::string_view bytes(head.data(), static_cast<std::size_t>(length));
    if (bytes.size() == head.size() && bytes.substr(boot_flag_offset, 2) == "\x55\xaa" &&
        bytes.substr(header_magic_offset, 4) == "HdrS") {
        return KernelFormat::bz_image;
    }
    if (!bytes.starts_with(std::string_view(ELFMAG, SELFMAG))) {
        return fail(
            ExitStatus::usage,
            fmt::format("'{}' is no kernel that can be booted: neither a Linux bzImage nor an ELF file",
                        path.string()),
            "give the bzImage (vmlinuz, arch/x86/boot/bzImage), or an ELF64 with a PVH note");
    }
    elf_version(EV_CURRENT);
    const std::unique_ptr<Elf, ElfEnd> elf(elf_begin(file.get(), ELF_C_READ, nullptr));
    GElf_Ehdr header;
    if (elf == nullptr || elf_kind(elf.get()) != ELF_K_ELF || gelf_getehdr(elf.get(), &header) == nullptr) {
        return fail(ExitStatus::usage, fmt::format("kernel '{}' is a damaged ELF file", path.string()),
                    "`readelf -a` shows how far it can be read; was the copy or the link cut short?");
    }
    if (gelf_getclass(elf.get()) != ELFCLASS64 || header.e_machine != EM_X86_64) {
        return fail(ExitStatus::usage,
                    fmt::format("kernel '{}' is an ELF file, but not for 64-bit x86", path.string()),
                    "paravane boots x86-64 guests");
    }
    if (!has_pvh_note(elf.get())) {
        return fail(ExitStatus::usage,
                    fmt::format("kernel '{}' is an ELF file without a PVH note, so QEMU cannot start it",
                                path.string()),
                    "link a Xen note of type 18 (XEN_ELFNOTE_PHYS32_ENTRY; Linux: CONFIG_PVH=y), or give the "
                    "bzImage");
    }
    return KernelFormat::pvh_elf;
}

}  // namespace pv::domain
