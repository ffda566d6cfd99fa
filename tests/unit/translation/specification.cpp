// The plain TLB: nothing here is shared with what it is compared to but the layout of an entry.
// SPDX-License-Identifier: MIT
#include "specification.hpp"

#include <fmt/format.h>

namespace pv::translation::testing {
namespace {

constexpr std::uint64_t pages[] = {Layout::page_0, Layout::page_1, Layout::kernel_page};

bool present(std::uint64_t entry) {
    return (entry & 1) != 0;
}

bool writable(std::uint64_t entry) {
    return (entry & 2) != 0;
}

std::uint64_t frame(std::uint64_t entry) {
    return entry >> 12 & 0xff'ffff'ffff;
}

}  // namespace

std::uint64_t Specification::directory_entry(std::uint64_t root, std::uint64_t linear) const {
    const std::uint64_t directory = root == Layout::root_a ? Layout::directory_a : Layout::directory_b;
    return memory_.at(directory, static_cast<unsigned>(linear >> 21));
}

std::uint64_t Specification::root_of(unsigned cpu, std::uint16_t pcid) const {
    return cpus_[cpu].roots[pcid];
}

void Specification::load(unsigned cpu, std::uint64_t root, std::uint16_t pcid, bool keep) {
    Cpu& state = cpus_[cpu];
    if (!keep) {
        std::erase_if(state.leaves, [&](const Leaf& leaf) { return leaf.pcid == pcid && !leaf.global; });
        std::erase_if(state.structures, [&](const Structure& entry) { return entry.pcid == pcid; });
    }
    state.root = root;
    state.pcid = pcid;
    state.roots[pcid] = root;
}

void Specification::invlpg(unsigned cpu, std::uint64_t linear) {
    Cpu& state = cpus_[cpu];
    std::erase_if(state.leaves, [&](const Leaf& leaf) {
        return leaf.linear == linear && (leaf.global || leaf.pcid == state.pcid);
    });
    std::erase_if(state.structures, [&](const Structure& entry) { return entry.pcid == state.pcid; });
}

void Specification::toggle_global(unsigned cpu) {
    cpus_[cpu].leaves.clear();
    cpus_[cpu].structures.clear();
}

void Specification::invpcid(unsigned cpu, unsigned type, std::uint16_t pcid, std::uint64_t linear) {
    Cpu& state = cpus_[cpu];
    switch (type) {
        case 0:
            std::erase_if(state.leaves, [&](const Leaf& leaf) {
                return !leaf.global && leaf.pcid == pcid && leaf.linear == linear;
            });
            std::erase_if(state.structures, [&](const Structure& entry) {
                return entry.pcid == pcid && entry.region == linear >> 21;
            });
            break;
        case 1:
            std::erase_if(state.leaves, [&](const Leaf& leaf) { return !leaf.global && leaf.pcid == pcid; });
            std::erase_if(state.structures, [&](const Structure& entry) { return entry.pcid == pcid; });
            break;
        case 2:
            toggle_global(cpu);
            break;
        default:
            std::erase_if(state.leaves, [](const Leaf& leaf) { return !leaf.global; });
            state.structures.clear();
            break;
    }
}

void Specification::cache_leaf(Cpu& cpu, std::uint64_t linear, std::uint64_t table, bool write) {
    const std::uint64_t entry = memory_.at(table, static_cast<unsigned>(linear >> 12 & 511));
    if (present(entry)) {
        cpu.leaves.insert(
            {cpu.pcid, linear, frame(entry) << 12, write && writable(entry), (entry >> 8 & 1) != 0});
    }
}

void Specification::fill() {
    for (Cpu& cpu : cpus_) {
        for (const std::uint64_t linear : pages) {
            const std::uint64_t entry = cpu.root == 0 ? 0 : directory_entry(cpu.root, linear);
            if (present(entry)) {
                cpu.structures.insert({cpu.pcid, linear >> 21, frame(entry), writable(entry)});
            }
        }
        for (const Structure& entry : cpu.structures) {
            for (const std::uint64_t linear : pages) {
                if (entry.pcid == cpu.pcid && linear >> 21 == entry.region) {
                    cache_leaf(cpu, linear, entry.table, entry.write);
                }
            }
        }
    }
}

std::set<std::pair<std::uint64_t, bool>> Specification::stale(unsigned cpu, std::uint16_t pcid,
                                                              std::uint64_t linear) const {
    std::set<std::pair<std::uint64_t, bool>> found;
    const Cpu& state = cpus_[cpu];
    const std::uint64_t root = state.roots[pcid];
    const std::uint64_t above = root == 0 ? 0 : directory_entry(root, linear);
    const std::uint64_t now =
        present(above) ? memory_.at(frame(above), static_cast<unsigned>(linear >> 12 & 511)) : 0;
    for (const Leaf& leaf : state.leaves) {
        const bool is_given = present(now) && frame(now) << 12 == leaf.physical &&
                              (!leaf.write || (writable(now) && writable(above)));
        if (leaf.linear == linear && (leaf.global || leaf.pcid == pcid) && !is_given) {
            found.insert({leaf.physical, leaf.write});
        }
    }
    return found;
}

bool Specification::is_owed(std::uint64_t table) const {
    for (const Cpu& cpu : cpus_) {
        for (const Structure& entry : cpu.structures) {
            const std::uint64_t root = cpu.roots[entry.pcid];
            const std::uint64_t now = root == 0 ? 0 : directory_entry(root, entry.region << 21);
            if (entry.table == table &&
                (!present(now) || frame(now) != table || (entry.write && !writable(now)))) {
                return true;
            }
        }
    }
    return false;
}

namespace {

std::string at(std::uint64_t linear, const Change& change) {
    return fmt::format("{:#x} change {}", linear, change.number);
}

std::string used(std::uint64_t use) {
    return use == 0 ? "" : fmt::format(" at {:#x}", use);
}

}  // namespace

void Findings::stale_use(const Actor& actor, const Change& change, std::uint64_t linear, std::uint64_t used,
                         unsigned access) {
    lines.push_back(
        fmt::format("stale-use {} cpu {} used {:#x} access {}", at(linear, change), actor.cpu, used, access));
}

void Findings::missed(const Actor&, const Change& change, std::uint64_t linear, unsigned holder,
                      std::uint64_t shootdown, bool structure, std::uint64_t use) {
    lines.push_back(fmt::format("missed {} holder {} shootdown {}{}{}", at(linear, change), holder, shootdown,
                                structure ? " table" : "", used(use)));
}

void Findings::freed(const Actor&, const Change& change, std::uint64_t linear, unsigned holder,
                     std::uint64_t physical, bool structure, std::uint64_t use) {
    lines.push_back(fmt::format("freed {} holder {} {:#x}{}{}", at(linear, change), holder, physical,
                                structure ? " table" : "", used(use)));
}

void Findings::global_kept(unsigned cpu, std::uint64_t pc, const Change& change, std::uint64_t linear,
                           std::uint64_t) {
    lines.push_back(fmt::format("global-kept {} cpu {} pc {:#x}", at(linear, change), cpu, pc));
}

void Findings::fault(const Actor&, trace::TableFault fault, std::uint64_t linear, std::uint64_t,
                     unsigned level, std::uint64_t other) {
    lines.push_back(
        fmt::format("fault {} at {:#x} level {} other {:#x}", static_cast<int>(fault), linear, level, other));
}

}  // namespace pv::translation::testing
