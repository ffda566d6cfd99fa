// One device's view of memory: addresses given to it alone, and taken back for certain.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/address.hpp"
#include "base/atomic.hpp"
#include "base/function_ref.hpp"
#include "base/marker.hpp"
#include "base/result.hpp"
#include "device/iommu/fault.hpp"
#include "memory/range_allocator.hpp"
#include "task/lock.hpp"

namespace pv::iommu {

/// Addresses a domain may give out: [begin, end), multiples of a page.
struct AddressRange {
    std::uint64_t begin = 0;
    std::uint64_t end = 0;
};

/// The part of [0, limit) that devices can be given: without the page at 0, which says "nothing" too often,
/// and without the addresses that raise interrupts (VT-d 4.0, 3.14).
[[nodiscard]] AddressRange usable_addresses(std::uint64_t first, std::uint64_t limit);

/// Belongs to one device; behind it a unit of either kind. Any context; synchronises itself. Pages are the
/// grain: a mapping of a few bytes shows the device the whole page.
class Domain {
  public:
    Domain(marker::Device device, AddressRange addresses)
        : device_{device}, own_{addresses}, addresses_{addresses.begin, addresses.end} {}

    Domain(const Domain&) = delete;
    Domain& operator=(const Domain&) = delete;
    virtual ~Domain() = default;

    [[nodiscard]] marker::Device device() const { return device_; }

    /// The device may from now on use `pages` frames from `physical`, under the address returned. Errors:
    /// device_failed (it is cut off), out_of_memory (frames, heap, or the domain's addresses).
    [[nodiscard]] Result<BusAddress> map(PhysicalAddress physical, std::size_t pages,
                                         marker::Direction direction);

    /// The device keeps the use of memory that firmware gave it, under the same addresses, for good. Before
    /// the unit is enabled. Errors: out_of_range (addresses the domain gives out itself), out_of_memory.
    [[nodiscard]] Result<> keep(AddressRange memory);

    /// When this returns without error, the device cannot reach the frames any more: neither the tables nor
    /// what the unit cached of them lead there. Waits, spinning, with a deadline. On an error the frames must
    /// not be used for anything else, ever, and the addresses are not given out again. `unreachable` is
    /// called once that holds and before anybody else can get these addresses: the place to say it.
    [[nodiscard]] Result<> unmap(BusAddress bus, std::size_t pages, FunctionRef<void()> unreachable);

    /// Says what was refused, on the console and by marker, and cuts the device off. Interrupt handlers may.
    void report(const Fault& fault);

    /// It was cut off: nothing is mapped for it any more.
    [[nodiscard]] bool stopped() const { return stopped_.load(std::memory_order_acquire); }

    /// Requests refused.
    [[nodiscard]] std::uint64_t faults() const { return faults_.load(std::memory_order_relaxed); }

    /// Bytes of addresses given out.
    [[nodiscard]] std::uint64_t in_use();

  protected:
    /// Enters the frames into the tables; on error nothing is entered.
    [[nodiscard]] virtual Result<> enter(std::uint64_t iova, PhysicalAddress physical, std::size_t pages,
                                         marker::Direction direction) = 0;
    /// Removes them, and waits until nothing remembers them.
    [[nodiscard]] virtual Result<> remove(std::uint64_t iova, std::size_t pages) = 0;
    /// The device reaches nothing any more, and what it tries is not reported. Any context.
    virtual void cut_off() = 0;

  private:
    marker::Device device_;
    AddressRange own_;
    task::Guarded<memory::RangeAllocator, task::Rank::dma> addresses_;
    Atomic<bool> stopped_{false};
    Atomic<std::uint64_t> faults_{0};
};

}  // namespace pv::iommu
