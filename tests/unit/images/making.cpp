// Makes packages with libarchive, and ELF files by hand.
// SPDX-License-Identifier: MIT
#include "making.hpp"

#include <elf.h>
#include <stdlib.h>

#include <cstring>
#include <fstream>
#include <iterator>
#include <stdexcept>

#include "images/archive.hpp"

namespace pv::images::test {

namespace fs = std::filesystem;

Folder::Folder() {
    std::string path = fs::temp_directory_path() / "pi.XXXXXX";
    if (::mkdtemp(path.data()) == nullptr) {
        throw std::runtime_error("no temporary folder");
    }
    path_ = path;
}

Folder::~Folder() {
    std::error_code problem;
    fs::remove_all(path_, problem);
}

namespace {

std::string tar_of(const std::vector<Member>& members) {
    std::string bytes(std::size_t{8} << 20, '\0');
    std::size_t used = 0;
    const Writer writer(archive_write_new());
    archive_write_set_format_gnutar(writer.get());
    archive_write_add_filter_xz(writer.get());
    archive_write_open_memory(writer.get(), bytes.data(), bytes.size(), &used);
    for (const Member& member : members) {
        const Entry entry(archive_entry_new());
        archive_entry_set_pathname(entry.get(), member.name.c_str());
        archive_entry_set_perm(entry.get(), member.node.mode);
        archive_entry_set_filetype(entry.get(), AE_IFREG);
        switch (member.node.kind) {
            case Node::Kind::directory:
                archive_entry_set_filetype(entry.get(), AE_IFDIR);
                break;
            case Node::Kind::file:
                archive_entry_set_size(entry.get(), static_cast<la_int64_t>(member.node.content->size()));
                break;
            case Node::Kind::symlink:
                archive_entry_set_filetype(entry.get(), AE_IFLNK);
                archive_entry_set_symlink(entry.get(), member.node.target.c_str());
                break;
            case Node::Kind::character_device:
                archive_entry_set_filetype(entry.get(), AE_IFCHR);
                archive_entry_set_rdevmajor(entry.get(), member.node.major);
                archive_entry_set_rdevminor(entry.get(), member.node.minor);
                break;
        }
        if (!member.hard_link.empty()) {
            archive_entry_set_size(entry.get(), 0);
            archive_entry_set_hardlink(entry.get(), member.hard_link.c_str());
        }
        if (archive_write_header(writer.get(), entry.get()) != ARCHIVE_OK) {
            throw std::runtime_error(complaint(writer.get()));
        }
        if (member.hard_link.empty() && member.node.kind == Node::Kind::file) {
            archive_write_data(writer.get(), member.node.content->data(), member.node.content->size());
        }
    }
    archive_write_close(writer.get());
    bytes.resize(used);
    return bytes;
}

void add(archive* writer, const char* name, const std::string& bytes) {
    const Entry entry(archive_entry_new());
    archive_entry_set_pathname(entry.get(), name);
    archive_entry_set_filetype(entry.get(), AE_IFREG);
    archive_entry_set_perm(entry.get(), 0644);
    archive_entry_set_size(entry.get(), static_cast<la_int64_t>(bytes.size()));
    archive_write_header(writer, entry.get());
    archive_write_data(writer, bytes.data(), bytes.size());
}

template <class T>
void put(std::string& bytes, std::size_t offset, const T& value) {
    std::memcpy(bytes.data() + offset, &value, sizeof value);
}

}  // namespace

PackageFile make_package(const fs::path& folder, const std::string& name, const std::vector<Member>& members,
                         const std::string& postinst) {
    PackageFile package;
    package.name = name;
    package.version = "1.0";
    package.architecture = "amd64";
    package.archive = folder / (name + "_1.0_amd64.deb");
    const Writer writer(archive_write_new());
    archive_write_set_format_ar_svr4(writer.get());
    archive_write_open_filename(writer.get(), package.archive.c_str());
    add(writer.get(), "debian-binary", "2.0\n");
    add(writer.get(), "control.tar.xz", tar_of({{"./postinst", file(postinst, 0755)}}));
    add(writer.get(), "data.tar.xz", tar_of(members));
    archive_write_close(writer.get());
    package.size = fs::file_size(package.archive);
    return package;
}

std::string make_elf(const std::string& interpreter, const std::vector<std::string>& needed,
                     const std::string& run_path) {
    constexpr std::uint64_t base = 0x400000;
    constexpr std::size_t headers = sizeof(Elf64_Ehdr) + 3 * sizeof(Elf64_Phdr);
    std::string strings(1, '\0');
    std::vector<Elf64_Dyn> dynamic;
    const auto entry = [&dynamic](std::int64_t tag, std::uint64_t value) {
        Elf64_Dyn dyn{};
        dyn.d_tag = tag;
        dyn.d_un.d_val = value;
        dynamic.push_back(dyn);
    };
    for (const std::string& name : needed) {
        entry(DT_NEEDED, strings.size());
        strings += name + '\0';
    }
    if (!run_path.empty()) {
        entry(DT_RUNPATH, strings.size());
        strings += run_path + '\0';
    }
    const std::size_t text = headers + interpreter.size() + 1;
    entry(DT_STRTAB, base + text);
    entry(DT_NULL, 0);
    const std::size_t table = (text + strings.size() + 15) / 16 * 16;
    std::string bytes(table + dynamic.size() * sizeof(Elf64_Dyn), '\0');

    Elf64_Ehdr header{};
    std::memcpy(header.e_ident, ELFMAG, SELFMAG);
    header.e_ident[EI_CLASS] = ELFCLASS64;
    header.e_ident[EI_DATA] = ELFDATA2LSB;
    header.e_ident[EI_VERSION] = EV_CURRENT;
    header.e_type = ET_DYN;
    header.e_machine = EM_X86_64;
    header.e_version = EV_CURRENT;
    header.e_phoff = sizeof header;
    header.e_ehsize = sizeof header;
    header.e_phentsize = sizeof(Elf64_Phdr);
    header.e_phnum = 3;
    put(bytes, 0, header);
    const auto segment = [&](std::size_t index, std::uint32_t type, std::size_t offset, std::size_t size) {
        Elf64_Phdr program{};
        program.p_type = type;
        program.p_offset = offset;
        program.p_vaddr = base + offset;
        program.p_filesz = program.p_memsz = size;
        program.p_align = 8;
        put(bytes, sizeof header + index * sizeof program, program);
    };
    segment(0, PT_LOAD, 0, bytes.size());
    segment(1, interpreter.empty() ? PT_NULL : PT_INTERP, headers, interpreter.size() + 1);
    segment(2, PT_DYNAMIC, table, dynamic.size() * sizeof(Elf64_Dyn));
    std::memcpy(bytes.data() + headers, interpreter.c_str(), interpreter.size() + 1);
    std::memcpy(bytes.data() + text, strings.data(), strings.size());
    std::memcpy(bytes.data() + table, dynamic.data(), dynamic.size() * sizeof(Elf64_Dyn));
    return bytes;
}

void write_file(const fs::path& path, const std::string& bytes) {
    std::ofstream(path, std::ios::binary) << bytes;
}

std::string read_file(const fs::path& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
}

}  // namespace pv::images::test
