// Loading ELF64 files (System V ABI, chapter 5; its AMD64 supplement).
// SPDX-License-Identifier: MIT
#include "linux/elf.hpp"

#include <elf.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <new>

#include "linux/file_source.hpp"
#include "linux/writable_code.hpp"
#include "task/process.hpp"

namespace pv::linux {
namespace {

constexpr std::size_t segments_max = 64;
constexpr std::uint64_t independent_base = 0x5555'5555'4000;  ///< two thirds up, as Linux's ELF_ET_DYN_BASE

struct Layout {
    std::uint64_t low = ~0ULL;
    std::uint64_t high = 0;
};

Outcome<Elf64_Ehdr> read_header(fs::OpenFile& file) {
    Elf64_Ehdr header{};
    PV_TRY(read_exactly(file, 0, fs::writable_bytes_of(header)));
    if (std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 || header.e_ident[EI_CLASS] != ELFCLASS64 ||
        header.e_ident[EI_DATA] != ELFDATA2LSB || header.e_machine != EM_X86_64 ||
        (header.e_type != ET_EXEC && header.e_type != ET_DYN) || header.e_phentsize != sizeof(Elf64_Phdr) ||
        header.e_phnum == 0 || header.e_phnum > segments_max) {
        return fail(Errno::enoexec);
    }
    return header;
}

memory::Rights rights_of(const Elf64_Phdr& segment) {
    return {(segment.p_flags & PF_R) != 0, (segment.p_flags & PF_W) != 0, (segment.p_flags & PF_X) != 0};
}

Outcome<> check_segment(const Elf64_Phdr& segment, Layout& layout) {
    constexpr std::uint64_t limit = arch::user_end.value();
    if (segment.p_filesz > segment.p_memsz || segment.p_vaddr >= limit || segment.p_memsz > limit ||
        segment.p_vaddr + segment.p_memsz > limit || segment.p_offset > limit ||
        segment.p_offset % page_size != segment.p_vaddr % page_size) {
        return fail(Errno::enoexec);
    }
    const task::UserThread& self = task::UserThread::current();
    PV_TRY(check_rights(rights_of(segment), self.name.data(), self.process().id));
    if (segment.p_memsz != 0) {
        layout.low = std::min(layout.low, align_down(segment.p_vaddr, page_size));
        layout.high = std::max(layout.high, align_up(segment.p_vaddr + segment.p_memsz, page_size));
    }
    return {};
}

Outcome<> map_segment(memory::AddressSpace& space, const Ref<fs::OpenFile>& file, const Elf64_Phdr& segment,
                      std::uint64_t base) {
    const std::uint64_t begin = base + segment.p_vaddr;
    const std::uint64_t page = align_down(begin, page_size);
    const std::uint64_t file_end = begin + segment.p_filesz;
    const std::uint64_t end = align_up(begin + segment.p_memsz, page_size);
    const std::uint64_t mapped_end = segment.p_filesz == 0 ? page : align_up(file_end, page_size);
    memory::MapRequest request;
    request.fixed = true;
    request.contents.rights = rights_of(segment);
    if (mapped_end > page) {
        request.hint = UserAddress(page);
        request.length = mapped_end - page;
        request.contents.source = PV_TRY(FileSource::create(file));
        request.contents.offset = align_down(segment.p_offset, page_size) / page_size;
        PV_TRY(space.map(request));
        request.contents.source = nullptr;
        request.contents.offset = 0;
    }
    // What the file's last page has beyond the segment is none of the program's.
    if (segment.p_memsz > segment.p_filesz && mapped_end > file_end && request.contents.rights.write) {
        static constexpr std::byte zeros[page_size]{};
        PV_TRY(space.poke(UserAddress(file_end),
                          std::span(zeros).first(static_cast<std::size_t>(mapped_end - file_end))));
    }
    if (end > mapped_end) {
        request.hint = UserAddress(mapped_end);
        request.length = end - mapped_end;
        PV_TRY(space.map(request));
    }
    return {};
}

// Where a file that may go anywhere goes.
Outcome<std::uint64_t> choose_base(memory::AddressSpace& space, const Layout& layout, std::uint64_t entropy,
                                   bool as_interpreter) {
    if (as_interpreter) {
        const UserAddress gap = PV_TRY(space.find_gap(layout.high - layout.low));
        return gap.value() - layout.low;
    }
    return independent_base + (entropy & ((1ULL << 28) - 1)) * page_size - layout.low;
}

}  // namespace

Outcome<> read_exactly(fs::OpenFile& file, std::uint64_t offset, std::span<std::byte> to) {
    std::size_t count = 0;
    while (count < to.size()) {
        fs::SpanTarget target(to.subspan(count));
        const std::size_t got = PV_TRY(file.read_at(offset + count, target));
        if (got == 0) {
            return fail(Errno::enoexec);
        }
        count += got;
    }
    return {};
}

Outcome<LoadedFile> load_elf(memory::AddressSpace& space, const Ref<fs::OpenFile>& file,
                             std::uint64_t entropy, bool as_interpreter, InterpreterPath& interpreter) {
    const Elf64_Ehdr header = PV_TRY(read_header(*file));
    const std::unique_ptr<Elf64_Phdr[]> segments(new (std::nothrow) Elf64_Phdr[header.e_phnum]);
    if (segments == nullptr) {
        return fail(Errno::enomem);
    }
    const std::span<Elf64_Phdr> list(segments.get(), header.e_phnum);
    PV_TRY(read_exactly(*file, header.e_phoff, std::as_writable_bytes(list)));
    Layout layout;
    for (const Elf64_Phdr& segment : list) {
        if (segment.p_type == PT_LOAD) {
            PV_TRY(check_segment(segment, layout));
        } else if (segment.p_type == PT_INTERP) {
            if (segment.p_filesz < 2 || segment.p_filesz > sizeof interpreter.text) {
                return fail(Errno::enoexec);
            }
            interpreter.length = static_cast<std::size_t>(segment.p_filesz) - 1;
            PV_TRY(read_exactly(
                *file, segment.p_offset,
                std::as_writable_bytes(std::span(interpreter.text).first(interpreter.length + 1))));
            if (interpreter.text[interpreter.length] != '\0') {
                return fail(Errno::enoexec);
            }
        }
    }
    if (layout.low >= layout.high) {
        return fail(Errno::enoexec);
    }
    LoadedFile loaded;
    loaded.has_executable_stack = std::ranges::any_of(list, [](const Elf64_Phdr& segment) {
        return segment.p_type == PT_GNU_STACK && (segment.p_flags & PF_X) != 0;
    });
    loaded.base = header.e_type == ET_DYN ? PV_TRY(choose_base(space, layout, entropy, as_interpreter)) : 0;
    for (const Elf64_Phdr& segment : list) {
        if (segment.p_type == PT_LOAD && segment.p_memsz != 0) {
            PV_TRY(map_segment(space, file, segment, loaded.base));
            if (header.e_phoff >= segment.p_offset &&
                header.e_phoff + list.size_bytes() <= segment.p_offset + segment.p_filesz) {
                loaded.headers = loaded.base + segment.p_vaddr + (header.e_phoff - segment.p_offset);
            }
        }
    }
    loaded.entry = loaded.base + header.e_entry;
    loaded.header_count = header.e_phnum;
    loaded.begin = loaded.base + layout.low;
    loaded.end = loaded.base + layout.high;
    if (loaded.entry >= arch::user_end.value()) {
        return fail(Errno::enoexec);
    }
    return loaded;
}

}  // namespace pv::linux
