// Kernel address space, and the device and firmware maps in it.
// SPDX-License-Identifier: MIT
#include "arch/x86_64/kernel_space.hpp"

#include <optional>

#include "arch/x86_64/image.hpp"
#include "arch/x86_64/layout.hpp"
#include "arch/x86_64/tlb.hpp"
#include "base/panic.hpp"
#include "boot/memory.hpp"
#include "memory/device_map.hpp"
#include "memory/direct_map.hpp"
#include "memory/frames.hpp"
#include "memory/range_allocator.hpp"
#include "task/lock.hpp"

namespace pv::arch {
namespace {

// Counted from the first address, which chance chose.
constinit task::Guarded<memory::RangeAllocator, task::Rank::kernel_space> space{std::uint64_t{0},
                                                                                kernel_space_size};
constinit task::SpinLock tables_lock{task::Rank::address_space};

}  // namespace

Result<VirtualAddress> reserve_space(std::uint64_t size) {
    return space.with([&](memory::RangeAllocator& ranges) -> Result<VirtualAddress> {
        return VirtualAddress(pv_layout.space_begin + PV_TRY(ranges.allocate(size)));
    });
}

void release_space(VirtualAddress address, std::uint64_t size) {
    space.with(
        [&](memory::RangeAllocator& ranges) { ranges.free(address.value() - pv_layout.space_begin, size); });
}

Result<> map_pages(VirtualAddress address, PhysicalAddress physical, std::uint64_t size, Access access,
                   Cache cache, Owner owner) {
    const task::SpinGuard guard(tables_lock);
    return kernel_page_table().map(address, physical, size, access, cache, owner,
                                   [] { return memory::allocate_frames(0); });
}

Result<> unmap_pages(VirtualAddress address, std::uint64_t size) {
    {
        const task::SpinGuard guard(tables_lock);
        kernel_page_table().unmap(address, size);
    }
    return tlb::flush(address, size);
}

Result<> drop_lower_half() {
    std::optional<PhysicalAddress> table;
    {
        const task::SpinGuard guard(tables_lock);
        table = kernel_page_table().detach(VirtualAddress(0));
    }
    if (!table) {
        return {};
    }
    // More than a few pages: everything, tables that a CPU has cached included.
    PV_TRY(tlb::flush(VirtualAddress(0), std::uint64_t{1} << 39));
    PageTable::free_tables(*table, [](PhysicalAddress frame) { memory::free_frames(frame, 0); });
    return {};
}

}  // namespace pv::arch

namespace pv::memory {
namespace {

struct Pages {
    PhysicalAddress first{};
    std::uint64_t size = 0;
};

// The whole pages around a range.
Result<Pages> pages_around(PhysicalAddress address, std::uint64_t length) {
    constexpr std::uint64_t physical_limit = 1ULL << 52;
    if (length == 0 || address.value() >= physical_limit || length > physical_limit - address.value()) {
        return fail(Error::invalid_argument);
    }
    const std::uint64_t begin = align_down(address.value(), page_size);
    return Pages{PhysicalAddress(begin), align_up(address.value() + length, page_size) - begin};
}

Result<VirtualAddress> map_range(Pages pages, arch::Access access, arch::Cache cache) {
    const VirtualAddress at = PV_TRY(arch::reserve_space(pages.size));
    const Result<> mapped = arch::map_pages(at, pages.first, pages.size, access, cache);
    if (!mapped) {
        arch::release_space(at, pages.size);
        return fail(mapped.error());
    }
    return at;
}

void unmap_range(VirtualAddress address, std::uint64_t length) {
    const VirtualAddress begin(align_down(address.value(), page_size));
    const std::uint64_t size = align_up(address.value() + length, page_size) - begin.value();
    if (arch::unmap_pages(begin, size)) {
        arch::release_space(begin, size);
    }
}

}  // namespace

Result<VirtualAddress> map_device(PhysicalAddress address, std::uint64_t length) {
    const Pages pages = PV_TRY(pages_around(address, length));
    // A second, uncached and writable view of RAM would go around every protection of the first.
    if (boot::overlaps_ram(pages.first, pages.size)) {
        return fail(Error::invalid_argument);
    }
    return PV_TRY(map_range(pages, arch::Access::read_write, arch::Cache::uncached)) + address.page_offset();
}

void unmap_device(VirtualAddress address, std::uint64_t length) {
    unmap_range(address, length);
}

Result<std::span<const std::byte>> map_firmware(PhysicalAddress address, std::uint64_t length) {
    const Pages pages = PV_TRY(pages_around(address, length));
    const VirtualAddress at = PV_TRY(map_range(pages, arch::Access::read, arch::Cache::write_back));
    return std::span(reinterpret_cast<const std::byte*>((at + address.page_offset()).value()),
                     static_cast<std::size_t>(length));
}

void unmap_firmware(std::span<const std::byte> bytes) {
    unmap_range(VirtualAddress(reinterpret_cast<std::uintptr_t>(bytes.data())), bytes.size());
}

PhysicalAddress to_physical(const void* pointer) {
    const auto value = reinterpret_cast<std::uintptr_t>(pointer);
    if (value >= arch::address_of(pv_image_start) && value < arch::address_of(pv_image_end)) {
        return arch::image_physical(static_cast<const char*>(pointer));
    }
    if (value - direct_map_base() >= direct_map_size) {
        panic("physical address of {}, which is neither heap nor kernel image", pointer);
    }
    return PhysicalAddress(value - direct_map_base());
}

}  // namespace pv::memory
