// Writes the lines: an anchor, by which the plugin sees where the kernel moved itself; layouts; calls.
// SPDX-License-Identifier: MIT
#include "profiles/resolve.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <regex>
#include <string_view>

#include "profiles/layout.hpp"

namespace pv::profiles {
namespace {

// The first C function that runs where the kernel lies in the end, before it changes its own code.
constexpr std::string_view anchor = "start_kernel";
constexpr std::size_t anchor_bytes = 32;

struct Member {
    std::string_view key;
    const char* structure;
    std::string_view member;
};

constexpr std::array members = {
    Member{"device-bus", "device", "bus"},
    Member{"pci-device", "pci_dev", "dev"},
    Member{"pci-bus", "pci_dev", "bus"},
    Member{"pci-devfn", "pci_dev", "devfn"},
    Member{"bus-number", "pci_bus", "number"},
    Member{"list-page", "scatterlist", "page_link"},
    Member{"list-offset", "scatterlist", "offset"},
    Member{"list-length", "scatterlist", "length"},
    Member{"list-bus", "scatterlist", "dma_address"},
    Member{"list-bus-length", "scatterlist", "dma_length"},
    Member{"table-list", "sg_table", "sgl"},
    Member{"table-count", "sg_table", "nents"},
};

// What calls that are about translation need; kernels older than folios have no batches of them.
constexpr std::array batch_members = {
    Member{"batch-count", "folio_batch", "nr"},
    Member{"batch-folios", "folio_batch", "folios"},
    Member{"folio-flags", "folio", "flags"},
    Member{"folio-order", "folio", "_flags_1"},
};
constexpr Member space_root{"space-root", "mm_struct", "pgd"};

struct Size {
    std::string_view key;
    const char* structure;
};

constexpr std::array sizes = {Size{"page-size", "page"}, Size{"list-size", "scatterlist"}};

/// Variables of the kernel: the type of PCI devices, and the address of the first struct page.
struct Variable {
    std::string_view key;
    std::string_view symbol;
};

constexpr std::array variables = {Variable{"pci-type", "pci_bus_type"}, Variable{"pages", "vmemmap_base"}};
constexpr Variable all_memory{"memory", "page_offset_base"};

class Symbols {
  public:
    explicit Symbols(std::span<const KernelSymbol> symbols) : symbols_(symbols) {}

    [[nodiscard]] Result<std::uint64_t> address(std::string_view symbol) const {
        const auto found = std::ranges::find(symbols_, symbol, &KernelSymbol::name);
        if (found == symbols_.end()) {
            return fail(ExitStatus::usage, fmt::format("the kernel has no symbol '{}'", symbol),
                        "the profile is for another version of Linux");
        }
        return found->address;
    }

  private:
    std::span<const KernelSymbol> symbols_;
};

std::string offset_line(std::string_view key, std::uint64_t value) {
    return fmt::format("offset {} {}\n", key, value);
}

Result<std::string> about_translation(const Profile& profile, const Layout& layout, const Symbols& known) {
    const auto has = [&](Deed deed) {
        return std::ranges::find(profile.calls, deed, &Call::deed) != profile.calls.end();
    };
    std::string text;
    if (has(Deed::release_folios)) {
        for (const Member& one : batch_members) {
            text += offset_line(one.key, PV_TRY(layout.offset(one.structure, one.member)));
        }
        text += offset_line("head-bit", PV_TRY(layout.enumerator("pageflags", "PG_head")));
    }
    if (has(Deed::shootdown)) {
        text += offset_line(space_root.key, PV_TRY(layout.offset(space_root.structure, space_root.member)));
        text += fmt::format("variable {} {:#x}\n", all_memory.key, PV_TRY(known.address(all_memory.symbol)));
    }
    return text;
}

}  // namespace

Result<> fits(const Profile& profile, const LinuxImage& kernel) {
    const std::string banner = kernel.banner();
    if (!std::regex_search(banner, std::regex(profile.kernel))) {
        return fail(ExitStatus::usage,
                    fmt::format("the profile '{}' is not for this kernel: {}", profile.name,
                                banner.empty() ? "it does not say its version" : banner.substr(0, 100)),
                    fmt::format("it is for banners that fit {}", profile.kernel));
    }
    return {};
}

Result<std::string> resolve(const Profile& profile, const LinuxImage& kernel,
                            std::span<const KernelSymbol> symbols) {
    const Symbols known(symbols);
    const Layout layout = PV_TRY(Layout::read(kernel.section(".BTF")));
    const std::uint64_t begin = PV_TRY(known.address(anchor));
    const auto bytes = kernel.at(begin, anchor_bytes);
    if (!bytes) {
        return fail(ExitStatus::usage,
                    fmt::format("the kernel's file does not hold the code of '{}'", anchor),
                    "give the bzImage (vmlinuz) as it was built, or the vmlinux");
    }
    std::string text = fmt::format("paravane-profile 1\nname {}\nanchor {:#x} ", profile.name, begin);
    for (const char byte : *bytes) {
        text += fmt::format("{:02x}", static_cast<unsigned char>(byte));
    }
    text += '\n';
    for (const Member& one : members) {
        text += offset_line(one.key, PV_TRY(layout.offset(one.structure, one.member)));
    }
    for (const Size& one : sizes) {
        text += offset_line(one.key, PV_TRY(layout.size(one.structure)));
    }
    for (const Variable& one : variables) {
        text += fmt::format("variable {} {:#x}\n", one.key, PV_TRY(known.address(one.symbol)));
    }
    text += PV_TRY(about_translation(profile, layout, known));
    for (const Call& call : profile.calls) {
        text += fmt::format("call {:#x} {}", PV_TRY(known.address(call.symbol)), name(call.deed));
        for (const Operand& operand : call.operands) {
            text += fmt::format(" {}={}", operand.name, operand.place);
        }
        if (call.failure) {
            text += fmt::format(" fails-with={}", *call.failure);
        }
        text += '\n';
    }
    return text;
}

}  // namespace pv::profiles
