// dma::Mapping: the only thing that gives a device an address.
// SPDX-License-Identifier: MIT
#include "device/dma/mapping.hpp"

#include <cstring>
#include <utility>

#include "base/atomic.hpp"
#include "base/log.hpp"
#include "base/marker.hpp"
#include "device/iommu/registry.hpp"
#include "misbehave/misbehave.hpp"

namespace pv::dma {
namespace {

constinit Atomic<std::uint64_t> mapped{0};
constinit Atomic<std::uint64_t> live{0};
constinit Atomic<std::uint64_t> in_quarantine{0};
constinit Atomic<std::uint64_t> abandoned{0};

/// dma-protected: what was declared to be protected while a device writes it; 0: nothing is.
constinit Atomic<std::uint64_t> protected_mapping{0};
constinit Atomic<std::uint64_t> protected_at{0};

/// Whole pages that `length` bytes at `address` touch: what an IOMMU maps.
template <class Address>
constexpr std::size_t pages_of(Address address, std::size_t length) {
    return (address.page_offset() + length + page_size - 1) / page_size;
}

}  // namespace

Statistics statistics() {
    return {mapped.load(std::memory_order_relaxed), live.load(std::memory_order_relaxed),
            in_quarantine.load(std::memory_order_relaxed), abandoned.load(std::memory_order_relaxed)};
}

Result<> Mapping::check(const Pages& pages, std::size_t offset, std::size_t length) {
    const std::size_t available = pages ? pages.bytes().size() : 0;
    if (length == 0 || offset > available || length > available - offset) {
        return fail(Error::invalid_argument);
    }
    return pages.quarantined() ? fail(Error::busy) : Result<>{};
}

Result<Mapping> Mapping::map(Requester requester, const Pages& pages, std::size_t offset, std::size_t length,
                             Direction direction, Deadline deadline) {
    if (!bounce::active() || pages.in_pool()) {
        return share(requester, pages, offset, length, direction);
    }
    PV_TRY(check(pages, offset, length));
    // At the same place in its page: devices have rules on alignment, and drivers kept to them.
    const std::size_t in_page = offset % page_size;
    const bounce::Slice slice = PV_TRY(bounce::take(in_page + length, deadline));
    // Also what the device is to write: it may write less than all.
    std::memcpy(slice.bytes.data() + in_page, pages.bytes().data() + offset, length);
    auto mapping = give(requester, pages, slice.physical + in_page, length, direction);
    if (!mapping) {
        bounce::give_back(slice);
        return mapping;
    }
    mapping->slice_ = slice;
    mapping->offset_ = offset;
    return mapping;
}

Result<Mapping> Mapping::share(Requester requester, const Pages& pages, std::size_t offset,
                               std::size_t length, Direction direction) {
    PV_TRY(check(pages, offset, length));
    auto mapping = give(requester, pages, pages.physical() + offset, length, direction);
    if (mapping) {
        mapping->offset_ = offset;
    }
    return mapping;
}

Result<Mapping> Mapping::give(Requester requester, const Pages& pages, PhysicalAddress physical,
                              std::size_t length, Direction direction) {
    iommu::Domain* domain = iommu::domain_of(requester);
    BusAddress bus{physical.value()};
    if (domain != nullptr) {
        bus = PV_TRY(domain->map(physical - physical.page_offset(), pages_of(physical, length), direction)) +
              physical.page_offset();
    } else if (iommu::confined()) {
        return fail(Error::not_supported);
    }
    Mapping mapping;
    mapping.pages_ = pages;
    mapping.domain_ = domain;
    mapping.bus_ = bus;
    mapping.length_ = length;
    mapping.id_ = mapped.fetch_add(1, std::memory_order_relaxed) + 1;
    mapping.requester_ = requester;
    mapping.direction_ = direction;
    live.fetch_add(1, std::memory_order_relaxed);
    marker::dma_map(requester, mapping.id_, mapping.bus_, physical, length, direction);
    if (direction == Direction::from_device && misbehave::take(misbehave::Rule::dma_protected)) {
        protected_mapping.store(mapping.id_, std::memory_order_relaxed);
        protected_at.store(physical.value(), std::memory_order_relaxed);
        marker::memory_protect(physical, length, marker::Protection::private_pages);
    }
    return mapping;
}

Mapping::Mapping(Mapping&& other) noexcept {
    *this = std::move(other);
}

Mapping& Mapping::operator=(Mapping&& other) noexcept {
    if (this != &other) {
        abandon();
        pages_ = std::move(other.pages_);
        domain_ = other.domain_;
        slice_ = std::exchange(other.slice_, {});
        offset_ = other.offset_;
        bus_ = other.bus_;
        length_ = other.length_;
        id_ = std::exchange(other.id_, 0);
        requester_ = other.requester_;
        direction_ = other.direction_;
        quarantined_ = std::exchange(other.quarantined_, false);
        ended_early_ = std::exchange(other.ended_early_, false);
    }
    return *this;
}

Mapping::~Mapping() {
    abandon();
}

void Mapping::unmap() {
    if (id_ == 0) {
        return;
    }
    if (misbehave::take(misbehave::Rule::dma_leak)) {
        keep_for_good();
        return;
    }
    const auto say = [&] {
        if (!ended_early_) {
            marker::dma_unmap(requester_, id_, bus_, length_);
        }
    };
    if (domain_ != nullptr) {
        // First, and waited for: the marker says that the device cannot touch it any more. And before another
        // CPU can map something at the same address: markers of the two would come in the wrong order.
        const BusAddress first = bus_ - bus_.page_offset();
        if (const Result<> ended = domain_->unmap(first, pages_of(bus_, length_), say); !ended) {
            log::error("dma: mapping {} could not be taken from the device: {}; its memory is not used again",
                       id_, ended.error());
            keep_for_good();
            return;
        }
    } else {
        say();
    }
    if (misbehave::take(misbehave::Rule::dma_double_map)) {
        marker::dma_unmap(requester_, id_, bus_, length_);
    }
    if (misbehave::built_in && protected_mapping.load(std::memory_order_relaxed) == id_) {
        protected_mapping.store(0, std::memory_order_relaxed);
        marker::memory_unprotect(PhysicalAddress{protected_at.load(std::memory_order_relaxed)}, length_);
    }
    live.fetch_sub(1, std::memory_order_relaxed);
    ended_early_ = false;
    copy_back();
    if (std::exchange(quarantined_, false)) {
        in_quarantine.fetch_sub(1, std::memory_order_relaxed);
        if (pages_) {
            pages_.leave_quarantine();
        }
    }
    id_ = 0;
    pages_ = Pages{};
}

void Mapping::quarantine() {
    if (id_ == 0 || quarantined_) {
        return;
    }
    quarantined_ = true;
    in_quarantine.fetch_add(1, std::memory_order_relaxed);
    marker::dma_quarantine(requester_, id_, bus_, length_);
    if (slice_.bytes.empty()) {
        pages_.enter_quarantine();
    } else {
        pages_ = Pages{};  // the device has its copy, and nothing of it comes back
    }
}

void Mapping::copy_back() {
    if (slice_.bytes.empty()) {
        return;
    }
    if (pages_ && direction_ != Direction::to_device) {
        std::memcpy(pages_.bytes().data() + offset_, slice_.bytes.data() + offset_ % page_size, length_);
    }
    bounce::give_back(std::exchange(slice_, {}));
}

void Mapping::end_early() {
    marker::dma_unmap(requester_, id_, bus_, length_);
    ended_early_ = true;
}

std::span<std::byte> Mapping::owned_bytes() {
    return slice_.bytes.empty() ? pages_.bytes().subspan(offset_, length_)
                                : slice_.bytes.subspan(offset_ % page_size, length_);
}

void Mapping::abandon() {
    if (id_ == 0) {
        return;
    }
    quarantine();
    keep_for_good();
}

void Mapping::keep_for_good() {
    abandoned.fetch_add(1, std::memory_order_relaxed);
    id_ = 0;
    // The reference is given to nobody: these frames never come back. Nor does a slice of the pool.
    slice_ = {};
    pages_.leak();
}

}  // namespace pv::dma
