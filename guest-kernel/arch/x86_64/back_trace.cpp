// Back traces by frame pointers, with names from the embedded symbol table.
// SPDX-License-Identifier: MIT
#include "arch/x86_64/back_trace.hpp"

#include <algorithm>
#include <span>

#include "arch/x86_64/image.hpp"
#include "arch/x86_64/page_table.hpp"
#include "arch/x86_64/symbol_table.hpp"
#include "base/log.hpp"

extern "C" {
// Absent in the first of the two links.
[[gnu::weak]] extern const pv::arch::SymbolTableHeader pv_symbol_table;
}

namespace pv::arch {
namespace {

constexpr std::size_t frames_max = 64;

// Reads a word of the kernel's half if it is mapped.
bool read_word(std::uint64_t address, std::uint64_t& value) {
    if (address % sizeof value != 0 || address < memory_half ||
        !kernel_page_table().lookup(VirtualAddress(address))) {
        return false;
    }
    value = *reinterpret_cast<const std::uint64_t*>(address);
    return true;
}

}  // namespace

SymbolName find_symbol(std::uint64_t address) {
    const SymbolTableHeader* header = &pv_symbol_table;
    if (header == nullptr || header->magic != symbol_table_magic || address < address_of(pv_text_start) ||
        address >= address_of(pv_text_end)) {
        return {};
    }
    const std::uint64_t offset = address - address_of(pv_text_start);
    const std::span entries(reinterpret_cast<const SymbolEntry*>(header + 1), header->count);
    const auto* names = reinterpret_cast<const char*>(entries.data() + entries.size());
    const auto after = std::upper_bound(entries.begin(), entries.end(), offset,
                                        [](std::uint64_t o, const SymbolEntry& e) { return o < e.offset; });
    if (after == entries.begin()) {
        return {};
    }
    const SymbolEntry& entry = *(after - 1);
    if (entry.name >= header->names_size) {
        return {};
    }
    return {std::string_view(names + entry.name), offset - entry.offset, entry.size};
}

Symbolised::Symbolised(std::uint64_t address) {
    const SymbolName symbol = find_symbol(address);
    if (symbol.name.empty()) {
        length_ = format::to(buffer_, "{:#016x}", address).size();
    } else {
        // The name's end matters less than the numbers: a long template name is cut.
        length_ = format::to(buffer_, "{}+{:#x}/{:#x} ({:016x})", symbol.name.substr(0, buffer_.size() - 50),
                             symbol.offset, symbol.size, address)
                      .size();
    }
}

std::uint64_t frameless_caller(std::uint64_t rip, std::uint64_t rsp) {
    constexpr std::string_view push_rbp = "\x55";
    constexpr std::string_view mov_rsp_rbp = "\x48\x89\xe5";
    const SymbolName symbol = find_symbol(rip);
    std::uint64_t at = rsp;
    if (!symbol.name.empty()) {
        // What of the function has run: compilers push first, and may set %rbp some instructions later.
        const std::string_view run(reinterpret_cast<const char*>(rip - symbol.offset),
                                   static_cast<std::size_t>(symbol.offset));
        if (run.starts_with(push_rbp)) {
            if (run.find(mov_rsp_rbp) != std::string_view::npos) {
                return 0;
            }
            at += sizeof at;
        }
    }
    std::uint64_t caller = 0;
    return read_word(at, caller) && !find_symbol(caller - 1).name.empty() ? caller : 0;
}

std::size_t collect_back_trace(std::uint64_t first, std::uint64_t frame_pointer,
                               std::span<std::uint64_t> out) {
    std::size_t number = 0;
    if (first != 0 && !out.empty()) {
        out[number++] = first;
    }
    while (number < out.size()) {
        std::uint64_t next = 0;
        std::uint64_t return_address = 0;
        if (frame_pointer == 0 || !read_word(frame_pointer, next) ||
            !read_word(frame_pointer + sizeof next, return_address) || return_address == 0) {
            break;
        }
        out[number++] = return_address;
        if (next == frame_pointer) {
            break;
        }
        frame_pointer = next;
    }
    return number;
}

void print_frames(std::span<const std::uint64_t> return_addresses, bool urgent) {
    std::array<char, log::line_max> buffer;
    std::size_t number = 0;
    for (const std::uint64_t address : return_addresses) {
        // The call is before the return address: one that never returns may be a function's last instruction.
        log::console_write(format::to(buffer, "    #{} {}", number++, Symbolised(address - 1)), urgent);
    }
}

void print_back_trace(std::uint64_t first, std::uint64_t frame_pointer) {
    std::array<std::uint64_t, frames_max + 1> frames;
    const std::size_t count = collect_back_trace(first, frame_pointer, frames);
    print_frames(std::span(frames).first(count < frames_max ? count : frames_max), true);
    if (count > frames_max) {
        log::console_write("    ...", true);
    }
}

}  // namespace pv::arch
