// One program's address space: mapping and unmapping.
// SPDX-License-Identifier: MIT
#include "memory/address_space.hpp"

#include <algorithm>
#include <cstring>
#include <new>

#include "base/atomic.hpp"
#include "base/log.hpp"
#include "base/marker.hpp"
#include "memory/direct_map.hpp"
#include "memory/frame_owners.hpp"
#include "memory/frames.hpp"
#include "memory/space_lock.hpp"

namespace pv::memory {
namespace {

constexpr UserAddress limit = arch::user_end;

// Whether [begin, begin + length) are whole pages of the lower half.
bool is_sound(UserAddress begin, std::uint64_t length) {
    return begin.is_aligned(page_size) && length % page_size == 0 && length <= limit.value() &&
           begin.value() <= limit.value() - length;
}

// The end of the whole pages that mprotect and madvise are asked about. Errors: einval, enomem.
Outcome<UserAddress> end_of(UserAddress begin, std::uint64_t length) {
    if (!begin.is_aligned(page_size)) {
        return fail(Errno::einval);
    }
    if (length == 0) {
        return begin;
    }
    if (length > limit.value() || !is_sound(begin, align_up(length, page_size))) {
        return fail(Errno::enomem);
    }
    return begin + align_up(length, page_size);
}

constexpr unsigned heap_gap_pages = 16;

// A block is a large page's, and nobody else's.
constexpr auto give_back = [](PhysicalAddress frames, unsigned order) {
    if (order == 0) {
        memory::drop_owner(frames);
    } else {
        marker::frames_release(frames, page_size << order);
        free_frames(frames, order);
    }
};

constinit Atomic<bool> writable_code_allowed{false};

}  // namespace

void allow_writable_code() {
    writable_code_allowed.store(true, std::memory_order_relaxed);
}

bool are_allowed(Rights rights) {
    return !(rights.write && rights.execute) || writable_code_allowed.load(std::memory_order_relaxed);
}

Result<Ref<AddressSpace>> AddressSpace::create(std::uint64_t entropy) {
    auto tables = PV_TRY(arch::UserTables::create());
    // 28 bits of pages below the stack's room, as Linux's mmap_rnd_bits.
    constexpr std::uint64_t room_for_stack = 1ULL << 35;
    const std::uint64_t shift = (entropy & ((1ULL << 28) - 1)) * page_size;
    auto* space = new (std::nothrow) AddressSpace(std::move(tables), limit - room_for_stack - shift);
    if (space == nullptr) {
        return fail(Error::out_of_memory);
    }
    return Ref<AddressSpace>::adopt(space);
}

void AddressSpace::drop_pages(UserAddress begin, UserAddress end) {
    Region* after = regions_.first_above(end);
    // What stays on either side decides which tables go: [begin, end) itself may still be in the map.
    UserAddress floor{0};
    if (Region* here = regions_.first_above(begin); here != nullptr) {
        if (here->begin() < begin) {
            floor = begin;
        } else if (Region* before = regions_.previous(*here)) {
            floor = before->end();
        }
    } else {
        floor = begin;  // what lies below is not looked for: a table may stay longer than it must
    }
    const UserAddress ceiling = after == nullptr ? limit : after->begin() < end ? end : after->begin();
    if (!tables_->remove(begin, end, floor, ceiling, give_back)) {
        log::error("memory: a processor does not answer: {} bytes of a program are lost", end - begin);
    }
}

Outcome<> AddressSpace::cut(UserAddress begin, UserAddress end) {
    if (regions_.count() + 2 > regions_max) {
        return fail(Errno::enomem);
    }
    PV_TRY(as_outcome(regions_.split(begin)));
    return as_outcome(regions_.split(end));
}

Outcome<UserAddress> AddressSpace::choose(const MapRequest& request) {
    if (request.fixed) {
        if (!is_sound(request.hint, request.length)) {
            return fail(request.hint.is_aligned(page_size) ? Errno::enomem : Errno::einval);
        }
        if (request.hint < lowest) {
            return fail(Errno::eperm);
        }
        return request.hint;
    }
    const UserAddress hint(align_down(request.hint.value(), page_size));
    if (hint >= lowest && is_sound(hint, request.length) && regions_.is_free(hint, hint + request.length)) {
        return hint;
    }
    auto gap = regions_.find_gap(request.length, lowest, top_);
    if (!gap) {
        gap = regions_.find_gap(request.length, top_, limit);
    }
    return as_outcome(gap);
}

void AddressSpace::set_limits(const Limits& limits) {
    const SpaceGuard guard(lock_);
    limits_ = limits;
}

bool AddressSpace::has_room(std::uint64_t more) const {
    return more <= limits_.all && regions_.bytes() <= limits_.all - more;
}

Outcome<UserAddress> AddressSpace::map(const MapRequest& request) {
    const Rights rights = request.contents.rights;
    if (request.length == 0) {
        return fail(Errno::einval);
    }
    if (request.length % page_size != 0 || request.length > limit.value()) {
        return fail(Errno::enomem);
    }
    if (!are_allowed(rights) || (rights.write && !request.contents.rights_max.write)) {
        return fail(Errno::eacces);
    }
    const SpaceGuard guard(lock_);
    const UserAddress begin = PV_TRY(choose(request));
    const UserAddress end = begin + request.length;
    if (!regions_.is_free(begin, end)) {
        if (!request.replace) {
            return fail(Errno::eexist);
        }
        PV_TRY(cut(begin, end));
        drop_pages(begin, end);
        regions_.remove(begin, end);
    }
    if (regions_.count() >= regions_max || !has_room(request.length)) {
        return fail(Errno::enomem);
    }
    PV_TRY(as_outcome(regions_.add(begin, end, request.contents)));
    return begin;
}

Outcome<> AddressSpace::unmap(UserAddress begin, std::uint64_t length) {
    if (length == 0 || !is_sound(begin, align_up(length, page_size))) {
        return fail(Errno::einval);
    }
    const UserAddress end = begin + align_up(length, page_size);
    const SpaceGuard guard(lock_);
    if (regions_.is_free(begin, end)) {
        return {};
    }
    PV_TRY(cut(begin, end));
    drop_pages(begin, end);
    regions_.remove(begin, end);
    return {};
}

Outcome<Ref<PageSource>> AddressSpace::unmap_segment(UserAddress begin) {
    if (!begin.is_aligned(page_size)) {
        return fail(Errno::einval);
    }
    Ref<PageSource> segment;  // before the lock: its last part may end here
    const SpaceGuard guard(lock_);
    UserAddress from = begin;
    while (Region* region = regions_.first_above(from)) {
        from = region->end();
        const Contents& contents = region->contents();
        const bool is_of_it = contents.source != nullptr && contents.source->is_segment() &&
                              (segment == nullptr || segment == contents.source) &&
                              region->begin() >= begin &&
                              region->begin() - begin == contents.offset * page_size;
        if (is_of_it) {
            segment = contents.source;
            const UserAddress piece = region->begin();
            drop_pages(piece, from);
            regions_.remove(piece, from);
        }
    }
    if (segment == nullptr) {
        return fail(Errno::einval);
    }
    return segment;
}

// Calls f(region) from `begin` on, up to `end` or the first gap or the first false. Returns how far it got.
template <class F>
UserAddress AddressSpace::for_regions(UserAddress begin, UserAddress end, F&& f) {
    UserAddress covered = begin;
    for (Region* region = regions_.first_above(begin);
         region != nullptr && region->begin() < end && region->begin() <= covered && f(*region);
         region = regions_.next(*region)) {
        covered = region->end();
    }
    return covered;
}

Outcome<> AddressSpace::protect(UserAddress begin, std::uint64_t length, Rights rights) {
    const UserAddress wanted = PV_TRY(end_of(begin, length));
    if (wanted == begin) {
        return {};
    }
    if (!are_allowed(rights)) {
        return fail(Errno::eacces);
    }
    const SpaceGuard guard(lock_);
    bool allowed = true;
    const UserAddress covered = for_regions(begin, wanted, [&](const Region& region) {
        const Rights most = region.contents().rights_max;
        allowed = (!rights.write || most.write) && (!rights.execute || most.execute);
        return allowed;
    });
    // As on Linux, what lies before a gap, or before what may not be changed, changes all the same.
    const UserAddress end = std::min(covered, wanted);
    if (end > begin) {
        PV_TRY(change_rights(begin, end, rights));
    }
    if (!allowed) {
        return fail(Errno::eacces);
    }
    return end < wanted ? Outcome<>(fail(Errno::enomem)) : Outcome<>();
}

Outcome<> AddressSpace::change_rights(UserAddress begin, UserAddress end, Rights rights) {
    PV_TRY(cut(begin, end));
    regions_.change(begin, end, [&](Contents& contents) { contents.rights = rights; });
    bool changed = false;
    tables_->change(begin, end, [&](UserAddress, arch::UserPage page) -> std::optional<arch::UserPage> {
        // Becoming writable is for the fault to decide: the frame may be shared. Without any right the pages
        // stay, out of reach, for when rights come back.
        changed = true;
        page.writable = page.writable && rights.write;
        page.executable = rights.execute;
        page.reachable = rights.any();
        return page;
    });
    if (changed && !tables_->flush(begin, end)) {
        log::error("memory: a processor does not answer: it may keep old rights");
    }
    return {};
}

Outcome<> AddressSpace::discard(UserAddress begin, std::uint64_t length) {
    if (!begin.is_aligned(page_size) || length > limit.value() ||
        !is_sound(begin, align_up(length, page_size))) {
        return fail(Errno::einval);
    }
    const UserAddress end = begin + align_up(length, page_size);
    const SpaceGuard guard(lock_);
    bool is_special = false;
    const UserAddress covered = for_regions(begin, end, [&](const Region& region) {
        is_special = region.contents().purpose == Purpose::vvar;
        return !is_special;
    });
    if (is_special) {
        return fail(Errno::einval);
    }
    if (!tables_->remove(begin, end, begin, end, give_back)) {
        log::error("memory: a processor does not answer: {} bytes of a program are lost", length);
    }
    if (covered < end) {
        return fail(Errno::enomem);
    }
    return {};
}

Outcome<> AddressSpace::advise(UserAddress begin, std::uint64_t length,
                               FunctionRef<Outcome<>(Contents&)> change) {
    const UserAddress end = PV_TRY(end_of(begin, length));
    if (end == begin) {
        return {};
    }
    const SpaceGuard guard(lock_);
    PV_TRY(cut(begin, end));
    // As on Linux, a gap is told in the end, and what lies behind it is advised too.
    const UserAddress covered = for_regions(begin, end, [](const Region&) { return true; });
    Outcome<> done;
    regions_.change(begin, end, [&](Contents& contents) {
        if (done) {
            done = change(contents);
        }
    });
    return done && covered < end ? Outcome<>(fail(Errno::enomem)) : done;
}

void AddressSpace::set_large_pages(bool allowed) {
    const SpaceGuard guard(lock_);
    has_large_pages_ = allowed;
}

bool AddressSpace::has_large_pages() {
    const SpaceGuard guard(lock_);
    return has_large_pages_;
}

bool AddressSpace::is_covered(UserAddress begin, std::uint64_t length) {
    if (length > limit.value() || !is_sound(begin, align_up(length, page_size))) {
        return false;
    }
    const UserAddress end = begin + align_up(length, page_size);
    const SpaceGuard guard(lock_);
    return for_regions(begin, end, [](const Region&) { return true; }) >= end;
}

Outcome<UserAddress> AddressSpace::remap(UserAddress old, std::uint64_t old_length, std::uint64_t new_length,
                                         bool may_move, UserAddress target) {
    old_length = align_up(old_length, page_size);
    new_length = align_up(new_length, page_size);
    if (new_length == 0 || new_length > limit.value() || !is_sound(old, old_length) || old_length == 0) {
        return fail(Errno::einval);
    }
    const SpaceGuard guard(lock_);
    const UserAddress old_end = old + old_length;
    Region* region = regions_.find(old);
    if (region == nullptr || region->end() < old_end) {
        return fail(Errno::efault);
    }
    const bool is_targeted = target.value() != 0;
    if (is_targeted && (!is_sound(target, new_length) || target < lowest ||
                        (target < old_end && old < target + new_length))) {
        return fail(Errno::einval);
    }
    if (!is_targeted && new_length <= old_length) {
        if (new_length < old_length) {
            PV_TRY(cut(old + new_length, old_end));
            drop_pages(old + new_length, old_end);
            regions_.remove(old + new_length, old_end);
        }
        return old;
    }
    const Purpose purpose = region->contents().purpose;
    if (new_length > old_length && (purpose == Purpose::vdso || purpose == Purpose::vvar)) {
        return fail(Errno::efault);  // there is no more of it
    }
    if (new_length > old_length && !has_room(new_length - old_length)) {
        return fail(Errno::enomem);
    }
    Contents contents = region->contents();
    contents.offset = region->source_page(old);
    if (!is_targeted && region->end() == old_end && is_sound(old, new_length) &&
        regions_.is_free(old_end, old + new_length)) {
        contents.offset += old_length / page_size;
        PV_TRY(as_outcome(regions_.add(old_end, old + new_length, contents)));
        return old;
    }
    if (!is_targeted && !may_move) {
        return fail(Errno::enomem);
    }
    PV_TRY(cut(old, old_end));
    UserAddress to = target;
    if (is_targeted) {
        PV_TRY(cut(target, target + new_length));
        drop_pages(target, target + new_length);
        regions_.remove(target, target + new_length);
    } else {
        to = PV_TRY(as_outcome(regions_.find_gap(new_length, lowest, top_)));
    }
    PV_TRY(as_outcome(regions_.add(to, to + new_length, contents)));
    // The two may be side by side and alike, and one region by now.
    PV_TRY(cut(old, old_end));
    PV_TRY(cut(to, to + new_length));
    // The pages go along: each gets one owner more at its new place before the old place goes.
    Outcome<> moved;
    const UserAddress last = old + (new_length < old_length ? new_length : old_length);
    tables_->split(old, last);
    tables_->change(old, last, [&](UserAddress at, arch::UserPage page) -> std::optional<arch::UserPage> {
        if (moved) {
            memory::add_owner(page.frame);
            moved = as_outcome(tables_->set(to + (at - old), page));
            if (!moved) {
                memory::drop_owner(page.frame);
            }
        }
        return std::nullopt;
    });
    if (!moved) {
        drop_pages(to, to + new_length);
        regions_.remove(to, to + new_length);
        return fail(moved.error());
    }
    drop_pages(old, old_end);
    regions_.remove(old, old_end);
    return to;
}

void AddressSpace::start_heap(UserAddress begin) {
    const SpaceGuard guard(lock_);
    heap_begin_ = heap_end_ = UserAddress(align_up(begin.value(), page_size));
}

UserAddress AddressSpace::set_break(UserAddress end) {
    const SpaceGuard guard(lock_);
    if (end < heap_begin_ || end >= limit) {
        return heap_end_;
    }
    const UserAddress old_top(align_up(heap_end_.value(), page_size));
    const UserAddress new_top(align_up(end.value(), page_size));
    if (new_top > old_top) {
        const UserAddress gap_end = new_top + heap_gap_pages * page_size;
        Contents contents;
        contents.rights = {true, true, false};
        contents.purpose = Purpose::heap;
        if (gap_end > limit || end - heap_begin_ > limits_.heap || !has_room(new_top - old_top) ||
            !regions_.is_free(old_top, gap_end) || !regions_.add(old_top, new_top, contents)) {
            return heap_end_;
        }
    } else if (new_top < old_top) {
        if (!cut(new_top, old_top)) {
            return heap_end_;
        }
        drop_pages(new_top, old_top);
        regions_.remove(new_top, old_top);
    }
    heap_end_ = end;
    return end;
}

Outcome<UserAddress> AddressSpace::find_gap(std::uint64_t size) {
    const SpaceGuard guard(lock_);
    return as_outcome(regions_.find_gap(size, lowest, top_));
}

void AddressSpace::clear() {
    const SpaceGuard guard(lock_);
    if (!tables_->remove(UserAddress(0), limit, UserAddress(0), UserAddress(1ULL << 47), give_back)) {
        log::error("memory: a processor does not answer: a program's memory is lost");
    }
    regions_.clear();
    heap_begin_ = heap_end_ = UserAddress(0);
}

void AddressSpace::for_each(FunctionRef<void(const Region&)> visit) {
    const SpaceGuard guard(lock_);
    for (Region* region = regions_.first_above(UserAddress(0)); region != nullptr;
         region = regions_.next(*region)) {
        visit(*region);
    }
}

RegionPages AddressSpace::count(const Region& region) {
    const bool is_of_source = region.contents().source != nullptr;
    RegionPages pages;
    tables_->change(region.begin(), region.end(), [&](UserAddress, arch::UserPage page) {
        const std::uint64_t number = page.large ? arch::large_page_size / page_size : 1;
        const std::uint32_t owners = page.large ? 1 : memory::owners(page.frame);
        // A source is an owner of its pages too. A copy that processes share looks like one of them.
        const bool is_own = !is_of_source || owners == 1;
        const std::uint32_t mappings = is_own ? owners : owners - 1;
        pages.all += number;
        pages.large += page.large ? number : 0;
        pages.own += is_own ? number : 0;
        pages.shared += mappings > 1 ? number : 0;
        pages.share += number * page_size / mappings;
        return std::optional<arch::UserPage>();
    });
    return pages;
}

void AddressSpace::for_each_counted(FunctionRef<void(const Region&, const RegionPages&)> visit) {
    for_each([&](const Region& region) { visit(region, count(region)); });
}

Outcome<bool> AddressSpace::is_present(UserAddress page) {
    const SpaceGuard guard(lock_);
    if (regions_.find(page) == nullptr) {
        return fail(Errno::enomem);
    }
    return tables_->lookup(page).has_value();
}

AddressSpace::Statistics AddressSpace::statistics() {
    const SpaceGuard guard(lock_);
    return {regions_.bytes(), tables_->pages(), tables_->tables()};
}

}  // namespace pv::memory
