// x86-64 page tables.
// SPDX-License-Identifier: MIT
#include "arch/x86_64/page_table.hpp"

#include <cstring>

#include "arch/x86_64/image.hpp"
#include "arch/x86_64/page_table_entry.hpp"
#include "arch/x86_64/registers.hpp"
#include "base/marker.hpp"
#include "memory/direct_map.hpp"
#include "misbehave/misbehave.hpp"

namespace pv::arch {
namespace {

using namespace paging;

std::uint64_t* entries(PhysicalAddress table) {
    // The boot tables lie in the image, which the direct map leaves out while they are in use.
    if (table >= image_physical(pv_image_start) && table < image_physical(pv_image_end)) {
        return reinterpret_cast<std::uint64_t*>(address_of(pv_image_start) +
                                                (table.value() - physical_image_begin.value()));
    }
    return memory::to_pointer<std::uint64_t>(table);
}

std::uint64_t& entry_of(PhysicalAddress table, unsigned level, VirtualAddress address) {
    return entries(table)[index_of(address.value(), level)];
}

bool is_leaf(std::uint64_t entry, unsigned level) {
    return level == 0 || (entry & large) != 0;
}

bool offers_gigabyte_pages() {
    return (cpuid(0x8000'0001).edx & 1U << 26) != 0;
}

std::uint64_t leaf_flags(Access access, Cache cache, Owner owner) {
    std::uint64_t flags = present;
    flags |= access == Access::read_write ? writable : 0;
    flags |= access == Access::read_execute ? 0 : no_execute;
    flags |= cache == Cache::uncached ? cache_disable | write_through : 0;
    flags |= owner == Owner::user ? user : global;
    return flags;
}

struct Rights {
    bool write = true;
    bool execute = true;
    bool user = true;
};

Rights narrow(Rights rights, std::uint64_t entry) {
    return {rights.write && (entry & writable) != 0, rights.execute && (entry & no_execute) == 0,
            rights.user && (entry & user) != 0};
}

Leaf make_leaf(std::uint64_t address, std::uint64_t entry, unsigned level, Rights rights) {
    return {VirtualAddress(address),
            PhysicalAddress(align_down(entry & address_mask, size_of(level))),
            size_of(level),
            rights.write,
            rights.execute,
            rights.user,
            (entry & cache_disable) != 0};
}

void walk(PhysicalAddress table, unsigned level, std::uint64_t base, Rights rights,
          const FunctionRef<void(const Leaf&)>& visit) {
    for (unsigned i = 0; i < entries_per_table; ++i) {
        const std::uint64_t entry = entries(table)[i];
        if ((entry & present) == 0) {
            continue;
        }
        std::uint64_t address = base + (std::uint64_t{i} << shift_of(level));
        if (level == top_level && i >= entries_per_table / 2) {
            address |= 0xffff'0000'0000'0000;
        }
        const Rights here = narrow(rights, entry);
        if (is_leaf(entry, level)) {
            visit(make_leaf(address, entry, level, here));
        } else {
            walk(target(entry), level - 1, address, here, visit);
        }
    }
}

void free_below(PhysicalAddress table, unsigned level, const FunctionRef<void(PhysicalAddress)>& give_back) {
    for (unsigned i = 0; level > 0 && i < entries_per_table; ++i) {
        const std::uint64_t entry = entries(table)[i];
        if ((entry & present) != 0 && !is_leaf(entry, level)) {
            free_below(target(entry), level - 1, give_back);
        }
    }
    marker::memory_unprotect(table, page_size);
    give_back(table);
}

}  // namespace

namespace {

constinit PageTable kernel_table{PhysicalAddress(0)};

}  // namespace

PageTable kernel_page_table() {
    return kernel_table;
}

void use_kernel_page_table(PageTable table) {
    kernel_table = table;
    write_cr3(table.root().value());
}

Result<> PageTable::map(VirtualAddress address, PhysicalAddress physical, std::uint64_t length, Access access,
                        Cache cache, Owner owner, FrameSource frames) {
    if (length == 0 || !address.is_aligned(page_size) || !physical.is_aligned(page_size) ||
        length % page_size != 0 || address.value() + (length - 1) < address.value()) {
        return fail(Error::invalid_argument);
    }
    const bool gigabytes = offers_gigabyte_pages();
    const std::uint64_t flags = leaf_flags(access, cache, owner);
    const std::uint64_t table_flags = present | writable | (owner == Owner::user ? user : 0);
    std::uint64_t done = 0;
    const auto undo = [&](Error error) {
        if (done > 0) {
            unmap(address, done);
        }
        return fail(error);
    };
    while (done < length) {
        const VirtualAddress at = address + done;
        const PhysicalAddress from = physical + done;
        PhysicalAddress table = root_;
        unsigned level = top_level;
        while (true) {
            std::uint64_t& entry = entry_of(table, level, at);
            const std::uint64_t size = size_of(level);
            const bool fits = level == 0 || (level == 1 || (level == 2 && gigabytes));
            if (fits && at.is_aligned(size) && from.is_aligned(size) && length - done >= size &&
                (level == 0 || (entry & present) == 0)) {
                if ((entry & present) != 0) {
                    return undo(Error::invalid_argument);
                }
                entry = from.value() | flags | (level > 0 ? large : 0);
                if (misbehave::take(misbehave::Rule::pt_write_exec)) {
                    entry &= ~no_execute;
                }
                done += size;
                break;
            }
            if ((entry & present) == 0) {
                const Result<PhysicalAddress> fresh = frames();
                if (!fresh) {
                    return undo(fresh.error());
                }
                marker::memory_protect(*fresh, page_size, marker::Protection::table);
                std::memset(entries(*fresh), 0, page_size);
                entry = fresh->value() | table_flags;
            } else if (is_leaf(entry, level)) {
                return undo(Error::invalid_argument);
            }
            table = target(entry);
            --level;
        }
    }
    return {};
}

void PageTable::unmap(VirtualAddress address, std::uint64_t length) {
    std::uint64_t done = 0;
    while (done < length) {
        const VirtualAddress at = address + done;
        PhysicalAddress table = root_;
        for (unsigned level = top_level;; --level) {
            std::uint64_t& entry = entry_of(table, level, at);
            if ((entry & present) == 0) {
                done += size_of(level) - (at.value() & (size_of(level) - 1));
                break;
            }
            if (is_leaf(entry, level)) {
                if (misbehave::take(misbehave::Rule::tlb_stale_use_early)) {
                    invalidate_page(at.value());
                    // What a processor does that runs ahead: it fills the entry again.
                    static_cast<void>(*reinterpret_cast<const volatile std::uint8_t*>(at.value()));
                    entry = 0;
                } else {
                    entry = 0;
                    if (!misbehave::take(misbehave::Rule::tlb_stale_use)) {
                        invalidate_page(at.value());
                    }
                }
                done += size_of(level);
                break;
            }
            table = target(entry);
        }
    }
}

std::optional<PhysicalAddress> PageTable::detach(VirtualAddress address) {
    std::uint64_t& entry = entry_of(root_, top_level, address);
    if ((entry & present) == 0) {
        return std::nullopt;
    }
    const PhysicalAddress table = target(entry);
    entry = 0;
    return table;
}

void PageTable::free_tables(PhysicalAddress detached, FunctionRef<void(PhysicalAddress)> give_back) {
    free_below(detached, top_level - 1, give_back);
}

std::optional<Leaf> PageTable::lookup(VirtualAddress address) const {
    PhysicalAddress table = root_;
    Rights rights;
    for (unsigned level = top_level;; --level) {
        const std::uint64_t entry = entry_of(table, level, address);
        if ((entry & present) == 0) {
            return std::nullopt;
        }
        rights = narrow(rights, entry);
        if (is_leaf(entry, level)) {
            return make_leaf(align_down(address.value(), size_of(level)), entry, level, rights);
        }
        table = target(entry);
    }
}

void PageTable::for_each(FunctionRef<void(const Leaf&)> visit) const {
    walk(root_, top_level, 0, Rights{}, visit);
}

}  // namespace pv::arch
