// Where the guest's RAM is: the mapping by its name, the layout by the machine's type.
// SPDX-License-Identifier: MIT
#include "plugin/guest_memory.hpp"

#include <charconv>
#include <cstring>
#include <fstream>
#include <iterator>
#include <optional>
#include <string>

namespace pv::plugin {
namespace {

constexpr std::uint64_t gib = 1ULL << 30;
constexpr std::uint64_t above = 4 * gib;  ///< where RAM goes on after the PCI hole

/// Takes the text up to `separator` (or the end) off the front of `text`.
std::string_view next(std::string_view& text, char separator) {
    const std::size_t end = text.find(separator);
    const std::string_view part = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    return part;
}

std::optional<std::uint64_t> hex(std::string_view text) {
    std::uint64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, 16);
    return error == std::errc{} && end == text.data() + text.size() ? std::optional{value} : std::nullopt;
}

struct Mapping {
    std::uint64_t begin = 0, end = 0;
    std::string inode;  ///< device and inode: one memfd, however many pieces it is mapped in
};

/// The one memory-backend-memfd; pieces the kernel shows apart (after mprotect, madvise) are put together.
/// Nothing when there is none, more than one, or the pieces do not follow one another.
std::optional<Mapping> memfd_mapping(std::string_view maps) {
    std::optional<Mapping> found;
    while (!maps.empty()) {
        std::string_view line = next(maps, '\n');
        const bool ours = line.find("/memfd:memory-backend-memfd") != std::string_view::npos;
        std::string_view range = next(line, ' ');
        const auto begin = hex(next(range, '-'));
        const auto end = hex(range);
        const std::string_view permissions = next(line, ' ');
        const auto offset = hex(next(line, ' '));
        std::string inode{next(line, ' ')};
        inode.append(":").append(next(line, ' '));
        if (!ours) {
            continue;
        }
        // "s": a private mapping would not show what devices write.
        if (!begin || !end || !offset || *end <= *begin || permissions.size() != 4 || permissions[0] != 'r' ||
            permissions[3] != 's') {
            return std::nullopt;
        }
        if (!found && *offset == 0) {
            found = Mapping{*begin, *end, std::move(inode)};
        } else if (found && found->inode == inode && found->end == *begin &&
                   *offset == *begin - found->begin) {
            found->end = *end;
        } else {
            return std::nullopt;
        }
    }
    return found;
}

/// Bytes of RAM below the PCI hole, as hw/i386 of QEMU lays it out (pc_q35_init, pc_init1, microvm); nothing
/// where the command line does not tell.
std::optional<std::uint64_t> low_memory(std::uint64_t size, std::string_view command_line) {
    std::string_view machine;
    unsigned backed_nodes = 0;
    for (std::string_view option; !command_line.empty();) {
        std::string_view argument = next(command_line, '\0');
        if (option == "-machine" || option == "-M") {
            if (argument.find("max-ram-below-4g") != std::string_view::npos) {
                return std::nullopt;
            }
            std::string_view kind = next(argument, ',');
            kind.remove_prefix(kind.starts_with("type=") ? 5 : 0);
            if (kind.find('=') == std::string_view::npos) {
                machine = kind;
            }
        } else if (option == "-numa" && argument.find("memdev=") != std::string_view::npos) {
            ++backed_nodes;
        }
        option = argument.starts_with("--") ? argument.substr(1) : argument;
    }
    if (backed_nodes > 1) {
        return std::nullopt;
    }
    if (machine == "q35" || machine.starts_with("pc-q35-")) {
        return size >= 0xb0000000 ? 2 * gib : size;
    }
    // "pc" is what QEMU takes when no machine is named.
    if (machine.empty() || machine == "pc" || machine.starts_with("pc-i440fx-")) {
        return size >= 0xe0000000 ? 3 * gib : size;
    }
    if (machine == "microvm") {
        return size >= 0xc0000000 ? 3 * gib : size;
    }
    return std::nullopt;
}

std::string file_text(const char* path) {
    std::ifstream file{path, std::ios::binary};
    return {std::istreambuf_iterator<char>{file}, {}};
}

}  // namespace

const std::byte* GuestMemory::at(std::uint64_t physical, std::uint64_t length) const {
    std::uint64_t offset = physical;
    std::uint64_t end = low_;
    if (physical >= above) {
        offset = physical - above + low_;
        end = size_;
        if (offset < low_) {
            return nullptr;
        }
    }
    return offset > end || length > end - offset ? nullptr : base_ + offset;
}

bool GuestMemory::read(std::uint64_t physical, std::span<std::byte> target) const {
    const std::byte* source = at(physical, target.size());
    if (source == nullptr) {
        return false;
    }
    std::memcpy(target.data(), source, target.size());
    return true;
}

GuestMemory::Found GuestMemory::find(std::string_view maps, std::string_view command_line) {
    const auto mapping = memfd_mapping(maps);
    if (!mapping) {
        return {trace::RingUnseen::no_memory, {}};
    }
    const std::uint64_t size = mapping->end - mapping->begin;
    const auto low = low_memory(size, command_line);
    if (!low) {
        return {trace::RingUnseen::unknown_layout, {}};
    }
    // The address is this process's own, from /proc/self/maps.
    const auto* base = reinterpret_cast<const std::byte*>(mapping->begin);
    return {trace::RingUnseen::none, GuestMemory{base, size, *low}};
}

GuestMemory::Found GuestMemory::find() {
    return find(file_text("/proc/self/maps"), file_text("/proc/self/cmdline"));
}

}  // namespace pv::plugin
