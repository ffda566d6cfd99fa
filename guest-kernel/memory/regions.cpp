// The regions of an address space.
// SPDX-License-Identifier: MIT
#include "memory/regions.hpp"

#include <new>

#include "base/panic.hpp"

namespace pv::memory {
namespace {

bool are_alike(const Region& first, const Region& second) {
    const Contents& a = first.contents();
    const Contents& b = second.contents();
    return first.end() == second.begin() && a.rights == b.rights && a.rights_max == b.rights_max &&
           a.shared == b.shared && a.grows_down == b.grows_down && a.purpose == b.purpose &&
           a.advice == b.advice && a.source == b.source &&
           (a.source == nullptr || a.offset + first.size() / page_size == b.offset);
}

}  // namespace

Region* RegionMap::first_above(UserAddress address) {
    auto after = regions_.upper_bound(address);
    if (after != regions_.begin()) {
        auto before = after;
        --before;
        if (before->end_ > address) {
            return &*before;
        }
    }
    return after == regions_.end() ? nullptr : &*after;
}

Region* RegionMap::find(UserAddress address) {
    Region* region = first_above(address);
    return region != nullptr && region->contains(address) ? region : nullptr;
}

Region* RegionMap::next(Region& region) {
    auto at = regions_.iterator_to(region);
    return ++at == regions_.end() ? nullptr : &*at;
}

Region* RegionMap::previous(Region& region) {
    auto at = regions_.iterator_to(region);
    return at == regions_.begin() ? nullptr : &*--at;
}

void RegionMap::destroy(Region& region) {
    bytes_ -= region.size();
    regions_.erase(regions_.iterator_to(region));
    delete &region;
}

void RegionMap::join_next(Region& region) {
    Region* after = next(region);
    if (after != nullptr && are_alike(region, *after)) {
        const UserAddress end = after->end_;
        destroy(*after);
        bytes_ += end - region.end_;
        region.end_ = end;
    }
}

// Joins what is alike at both borders of [begin, end) and between them.
void RegionMap::join_around(UserAddress begin, UserAddress end) {
    Region* region = first_above(begin);
    if (region == nullptr) {
        return;
    }
    if (Region* before = previous(*region)) {
        region = before;
    }
    while (region != nullptr && region->begin_ < end) {
        const UserAddress was = region->end_;
        join_next(*region);
        if (region->end_ == was) {
            region = next(*region);
        }
    }
}

Result<> RegionMap::add(UserAddress begin, UserAddress end, const Contents& contents) {
    PV_ASSERT(begin < end && begin.is_aligned(page_size) && end.is_aligned(page_size) && is_free(begin, end));
    auto* region = new (std::nothrow) Region(begin, end, contents);
    if (region == nullptr) {
        return fail(Error::out_of_memory);
    }
    regions_.insert(*region);
    bytes_ += region->size();
    join_around(begin, end);
    return {};
}

Result<> RegionMap::append(const Region& region) {
    PV_ASSERT(regions_.empty() || regions_.rbegin()->end_ <= region.begin_);
    auto* copy = new (std::nothrow) Region(region.begin_, region.end_, region.contents_);
    if (copy == nullptr) {
        return fail(Error::out_of_memory);
    }
    regions_.push_back(*copy);
    bytes_ += copy->size();
    return {};
}

Result<> RegionMap::split(UserAddress address) {
    Region* region = find(address);
    if (region == nullptr || region->begin_ == address) {
        return {};
    }
    Contents upper = region->contents_;
    if (upper.source != nullptr) {
        upper.offset += (address - region->begin_) / page_size;
    }
    auto* second = new (std::nothrow) Region(address, region->end_, std::move(upper));
    if (second == nullptr) {
        return fail(Error::out_of_memory);
    }
    region->end_ = address;
    regions_.insert(*second);
    return {};
}

void RegionMap::remove(UserAddress begin, UserAddress end) {
    Region* region = first_above(begin);
    while (region != nullptr && region->begin_ < end) {
        PV_ASSERT(region->begin_ >= begin && region->end_ <= end);
        Region* after = next(*region);
        destroy(*region);
        region = after;
    }
}

void RegionMap::change(UserAddress begin, UserAddress end, FunctionRef<void(Contents&)> change) {
    for (Region* region = first_above(begin); region != nullptr && region->begin_ < end;
         region = next(*region)) {
        PV_ASSERT(region->begin_ >= begin && region->end_ <= end);
        change(region->contents_);
    }
    join_around(begin, end);
}

void RegionMap::extend_down(Region& region, UserAddress begin) {
    PV_ASSERT(is_free(begin, region.begin_) && region.contents_.source == nullptr);
    // The order in the set does not change: nothing lies between the two.
    bytes_ += region.begin_ - begin;
    region.begin_ = begin;
}

void RegionMap::clear() {
    bytes_ = 0;
    regions_.clear_and_dispose([](Region* region) { delete region; });
}

bool RegionMap::is_free(UserAddress begin, UserAddress end) {
    const Region* region = first_above(begin);
    return region == nullptr || region->begin() >= end;
}

Result<UserAddress> RegionMap::find_gap(std::uint64_t size, UserAddress low, UserAddress high) {
    if (size == 0 || high < low || size > high - low) {
        return fail(Error::out_of_memory);
    }
    UserAddress top = high;
    auto at = regions_.lower_bound(high);
    while (true) {
        UserAddress floor = low;
        const bool is_last = at == regions_.begin();
        if (!is_last) {
            --at;
            floor = at->end_ > low ? at->end_ : low;
        }
        if (top >= floor && top - floor >= size) {
            return top - size;
        }
        if (is_last || at->begin_ <= low) {
            return fail(Error::out_of_memory);
        }
        top = at->begin_ < top ? at->begin_ : top;
    }
}

}  // namespace pv::memory
