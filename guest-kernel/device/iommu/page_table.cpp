// Second-level page tables: from the addresses of one device's domain to physical memory.
// SPDX-License-Identifier: MIT
#include "device/iommu/page_table.hpp"

#include <cstring>
#include <utility>

#include "arch/processor.hpp"
#include "base/atomic.hpp"
#include "device/iommu/spec.hpp"
#include "memory/direct_map.hpp"
#include "memory/frames.hpp"

namespace pv::iommu {
namespace {

Result<PhysicalAddress> new_table(bool coherent) {
    const PhysicalAddress table = PV_TRY(memory::allocate_frames(0));
    marker::memory_protect(table, page_size, marker::Protection::table);
    auto* bytes = memory::to_pointer(table);
    std::memset(bytes, 0, page_size);
    if (!coherent) {
        arch::write_back(bytes, page_size);
    }
    return table;
}

void free_tables(PhysicalAddress table, unsigned level) {
    if (level > 1) {
        const auto* entries = memory::to_pointer<const std::uint64_t>(table);
        for (std::size_t i = 0; i < spec::page_entries; ++i) {
            if (entries[i] != 0) {
                free_tables(PhysicalAddress{entries[i] & spec::page_address}, level - 1);
            }
        }
    }
    marker::memory_unprotect(table, page_size);
    memory::free_frames(table, 0);
}

constexpr std::size_t index_at(std::uint64_t iova, unsigned level) {
    return iova >> (page_shift + (level - 1) * spec::bits_per_level) & (spec::page_entries - 1);
}

constexpr std::uint64_t permissions(marker::Direction direction) {
    switch (direction) {
        case marker::Direction::to_device:
            return spec::page_read;
        case marker::Direction::from_device:
            return spec::page_write;
        case marker::Direction::bidirectional:
            return spec::page_read | spec::page_write;
    }
    return 0;
}

}  // namespace

Result<PageTable> PageTable::create(unsigned levels, bool coherent) {
    return PageTable{PV_TRY(new_table(coherent)), levels, coherent};
}

PageTable::PageTable(PageTable&& other) noexcept
    : root_{other.root_}, levels_{std::exchange(other.levels_, 0)}, coherent_{other.coherent_} {}

PageTable::~PageTable() {
    if (levels_ != 0) {
        free_tables(root_, levels_);
    }
}

void PageTable::set(std::uint64_t& entry, std::uint64_t value) const {
    // One store: the unit may walk here at any time.
    AtomicRef{entry}.store(value, std::memory_order_release);
    if (!coherent_) {
        arch::write_back(&entry, sizeof entry);
    }
}

std::uint64_t* PageTable::leaf_table(std::uint64_t iova, bool make) const {
    auto* table = memory::to_pointer<std::uint64_t>(root_);
    for (unsigned level = levels_; level > 1; --level) {
        std::uint64_t& entry = table[index_at(iova, level)];
        if (entry == 0) {
            if (!make) {
                return nullptr;
            }
            const auto made = new_table(coherent_);
            if (!made) {
                return nullptr;
            }
            set(entry, made->value() | spec::page_read | spec::page_write);
        }
        table = memory::to_pointer<std::uint64_t>(PhysicalAddress{entry & spec::page_address});
    }
    return table;
}

Result<> PageTable::map(std::uint64_t iova, PhysicalAddress physical, std::size_t pages,
                        marker::Direction direction) {
    const std::uint64_t limit = std::uint64_t{1} << address_bits();
    if (iova % page_size != 0 || !physical.is_aligned(page_size) || iova >= limit ||
        pages > (limit - iova) / page_size || (physical.value() & ~spec::page_address) != 0) {
        return fail(Error::out_of_range);
    }
    std::uint64_t* table = nullptr;
    for (std::size_t done = 0; done < pages; ++done) {
        const std::uint64_t address = iova + done * page_size;
        const std::size_t index = index_at(address, 1);
        if (table == nullptr || index == 0) {
            table = leaf_table(address, true);
        }
        if (table == nullptr || table[index] != 0) {
            unmap(iova, done);
            return fail(table == nullptr ? Error::out_of_memory : Error::busy);
        }
        set(table[index], (physical + done * page_size).value() | permissions(direction));
    }
    return {};
}

void PageTable::unmap(std::uint64_t iova, std::size_t pages) {
    std::uint64_t* table = nullptr;
    for (std::size_t done = 0; done < pages; ++done) {
        const std::uint64_t address = iova + done * page_size;
        const std::size_t index = index_at(address, 1);
        if (done == 0 || index == 0) {
            table = leaf_table(address, false);
        }
        if (table != nullptr && table[index] != 0) {
            set(table[index], 0);
        }
    }
}

std::uint64_t PageTable::entry(std::uint64_t iova) const {
    if (iova >> address_bits() != 0) {
        return 0;
    }
    const std::uint64_t* table = leaf_table(iova, false);
    return table == nullptr ? 0 : table[index_at(iova, 1)];
}

}  // namespace pv::iommu
