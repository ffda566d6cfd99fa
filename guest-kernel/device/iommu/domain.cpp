// One device's view of memory: addresses given to it alone, and taken back for certain.
// SPDX-License-Identifier: MIT
#include "device/iommu/domain.hpp"

#include <algorithm>

#include "base/log.hpp"

namespace pv::iommu {
namespace {

constexpr std::uint64_t interrupts_begin = 0xfee0'0000;
constexpr std::uint64_t interrupts_end = 0xfef0'0000;

}  // namespace

AddressRange usable_addresses(std::uint64_t first, std::uint64_t limit) {
    const std::uint64_t begin = std::max<std::uint64_t>(first, page_size);
    const AddressRange above{std::max(begin, interrupts_end), limit};
    const AddressRange below{begin, std::min(limit, interrupts_begin)};
    const auto size = [](const AddressRange& r) { return r.end > r.begin ? r.end - r.begin : 0; };
    return size(above) >= size(below) ? above : below;
}

Result<BusAddress> Domain::map(PhysicalAddress physical, std::size_t pages, marker::Direction direction) {
    if (stopped()) {
        return fail(Error::device_failed);
    }
    const std::uint64_t length = std::uint64_t{pages} * page_size;
    const auto iova = addresses_.with([&](auto& addresses) { return addresses.allocate(length); });
    if (!iova) {
        return fail(iova.error());
    }
    if (const Result<> entered = enter(*iova, physical, pages, direction); !entered) {
        addresses_.with([&](auto& addresses) { addresses.free(*iova, length); });
        return fail(entered.error());
    }
    return BusAddress{*iova};
}

Result<> Domain::keep(AddressRange memory) {
    if (memory.begin < own_.end && own_.begin < memory.end) {
        return fail(Error::out_of_range);
    }
    // Page by page: several regions of one device may share some, which then are there already.
    for (std::uint64_t at = memory.begin; at < memory.end; at += page_size) {
        const Result<> entered = enter(at, PhysicalAddress{at}, 1, marker::Direction::bidirectional);
        if (!entered && entered.error() != Error::busy) {
            return entered;
        }
    }
    return {};
}

Result<> Domain::unmap(BusAddress bus, std::size_t pages, FunctionRef<void()> unreachable) {
    PV_TRY(remove(bus.value(), pages));
    unreachable();
    // Only now: whoever gets these addresses next must not meet an old translation of them.
    addresses_.with([&](auto& addresses) { addresses.free(bus.value(), std::uint64_t{pages} * page_size); });
    return {};
}

void Domain::report(const Fault& fault) {
    faults_.fetch_add(1, std::memory_order_relaxed);
    if (stopped()) {
        return;  // what it still tries changes nothing any more
    }
    marker::dma_fault(device_, fault.reason, fault.address, static_cast<std::uint64_t>(fault.attempt));
    const auto number = static_cast<std::uint32_t>(device_);
    const std::uint32_t bus = number >> 8 & 0xff;
    const std::uint32_t slot = number >> 3 & 0x1f;
    if (fault.interrupt) {
        log::error("IOMMU: device {:02x}:{:02x}.{} may not raise interrupt {}: {}", bus, slot, number & 7,
                   fault.address, fault.words);
    } else {
        log::error("IOMMU: device {:02x}:{:02x}.{} may not {} {:#x}: {} (reason {:#x})", bus, slot,
                   number & 7, to_string(fault.attempt), fault.address, fault.words, fault.reason);
    }
    if (!stopped_.exchange(true, std::memory_order_acq_rel)) {
        cut_off();
        log::error("IOMMU: device {:02x}:{:02x}.{} is cut off from memory", bus, slot, number & 7);
    }
}

std::uint64_t Domain::in_use() {
    return addresses_.with([](auto& addresses) { return addresses.in_use(); });
}

}  // namespace pv::iommu
