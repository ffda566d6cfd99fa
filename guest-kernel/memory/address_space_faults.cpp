// One program's address space: page faults, and its copy for fork.
// SPDX-License-Identifier: MIT
#include <algorithm>
#include <cstring>

#include "base/log.hpp"
#include "memory/address_space.hpp"
#include "memory/direct_map.hpp"
#include "memory/frame_owners.hpp"
#include "memory/frames.hpp"
#include "memory/space_lock.hpp"

namespace pv::memory {
namespace {

/// What stays free below a stack that grows, so that it never meets what lies there.
constexpr std::uint64_t stack_guard = 256 * page_size;

Result<PhysicalAddress> copy_of(PhysicalAddress frame) {
    const PhysicalAddress copy = PV_TRY(allocate_program_frame());
    std::memcpy(to_pointer(copy), to_pointer(frame), page_size);
    return copy;
}

Result<PhysicalAddress> zeroed() {
    const PhysicalAddress frame = PV_TRY(allocate_program_frame());
    std::memset(to_pointer(frame), 0, page_size);
    return frame;
}

Resolution resolution_of(Error error) {
    return error == Error::out_of_memory ? Resolution::out_of_memory : Resolution::beyond_source;
}

}  // namespace

Region* AddressSpace::region_for_fault(UserAddress address) {
    Region* region = regions_.first_above(address);
    if (region == nullptr || region->begin() <= address) {
        return region;
    }
    if (!region->contents().grows_down) {
        return nullptr;
    }
    const UserAddress begin(align_down(address.value(), page_size));
    const Region* below = regions_.previous(*region);
    if (region->end() - begin > std::min(stack_max, limits_.stack) || !has_room(region->begin() - begin) ||
        (below != nullptr && begin < below->end() + stack_guard)) {
        return nullptr;
    }
    regions_.extend_down(*region, begin);
    return region;
}

Resolution AddressSpace::resolve(UserAddress address, UserAccess access) {
    if (address >= arch::user_end) {
        return Resolution::unmapped;
    }
    const SpaceGuard guard(lock_);
    Region* region = region_for_fault(address);
    if (region == nullptr) {
        return Resolution::unmapped;
    }
    // A processor has no page that may be written and not read.
    const Rights rights = region->contents().rights;
    const bool allowed = access == UserAccess::write   ? rights.write
                         : access == UserAccess::fetch ? rights.execute
                                                       : rights.any();
    if (!allowed) {
        return Resolution::denied;
    }
    const UserAddress page(align_down(address.value(), page_size));
    const auto mapped = tables_->lookup(page);
    if (!mapped) {
        return bring_in(*region, page, access == UserAccess::write);
    }
    if (access == UserAccess::write && !mapped->writable) {
        return unshare(*region, page, *mapped);
    }
    return Resolution::resolved;  // another thread was here first, or an old entry was remembered
}

// A large page around `page`, where the region has all of it, nothing is there yet and memory allows. Memory
// that is only read is not worth one, and a stack that grows is seldom deep.
bool AddressSpace::bring_in_large(const Region& region, UserAddress page) {
    const Contents& contents = region.contents();
    const UserAddress begin(align_down(page.value(), arch::large_page_size));
    if (contents.source != nullptr || contents.shared || contents.grows_down || !contents.rights.write ||
        contents.rights.execute || contents.advice.large == Advice::Large::unwanted || !has_large_pages_ ||
        begin < region.begin() || region.end() - begin < arch::large_page_size ||
        !tables_->has_room_for_large(begin)) {
        return false;
    }
    const Result<PhysicalAddress> block =
        allocate_program_block(arch::large_page_order, contents.advice.large == Advice::Large::wanted);
    if (!block) {
        return false;
    }
    std::memset(to_pointer(*block), 0, arch::large_page_size);
    if (!tables_->set_large(begin, {.frame = *block, .writable = true})) {
        free_frames(*block, arch::large_page_order);
        return false;
    }
    return true;
}

Resolution AddressSpace::bring_in(Region& region, UserAddress page, bool write) {
    const Contents& contents = region.contents();
    if (write && bring_in_large(region, page)) {
        return Resolution::resolved;
    }
    Result<PhysicalAddress> frame =
        contents.source == nullptr ? zeroed() : contents.source->page(region.source_page(page));
    if (!frame) {
        return resolution_of(frame.error());
    }
    bool writable = contents.rights.write;
    if (contents.source != nullptr && !contents.shared) {
        if (write) {
            const Result<PhysicalAddress> copy = copy_of(*frame);
            memory::drop_owner(*frame);
            if (!copy) {
                return Resolution::out_of_memory;
            }
            frame = copy;
        }
        writable = write && contents.rights.write;
    }
    if (!tables_->set(page, {*frame, writable, contents.rights.execute, contents.rights.any()})) {
        memory::drop_owner(*frame);
        return Resolution::out_of_memory;
    }
    return Resolution::resolved;
}

// A page that may be written by the rules and not by the tables: copied if others own its frame too.
Resolution AddressSpace::unshare(Region& region, UserAddress page, arch::UserPage old) {
    const Rights rights = region.contents().rights;
    arch::UserPage fresh{old.frame, rights.write, rights.execute, rights.any()};
    if (old.large) {
        // Nobody shares it: it becomes small before anybody does.
        const UserAddress begin(align_down(page.value(), arch::large_page_size));
        fresh.frame = PhysicalAddress(align_down(old.frame.value(), arch::large_page_size));
        const Result<> set = tables_->set_large(begin, fresh);
        PV_ASSERT(set.has_value());
        return Resolution::resolved;
    }
    const bool copy = !region.contents().shared && memory::owners(old.frame) > 1;
    if (copy) {
        const Result<PhysicalAddress> frame = copy_of(old.frame);
        if (!frame) {
            return Resolution::out_of_memory;
        }
        fresh.frame = *frame;
    }
    // The tables are there: it cannot fail.
    const Result<> set = tables_->set(page, fresh);
    PV_ASSERT(set.has_value());
    if (copy) {
        // Nobody may go on reading the old frame through what a processor remembers.
        if (tables_->flush(page, page + page_size)) {
            memory::drop_owner(old.frame);
        } else {
            log::error("memory: a processor does not answer: a frame is lost");
        }
    }
    return Resolution::resolved;
}

Outcome<AddressSpace::Place> AddressSpace::locate(UserAddress address) {
    const SpaceGuard guard(lock_);
    Region* region = regions_.find(address);
    if (region == nullptr) {
        return fail(Errno::efault);
    }
    if (!region->contents().shared) {
        return Place{reinterpret_cast<std::uintptr_t>(this), address.value()};
    }
    const arch::UserPage page = PV_TRY(page_for(address, false));
    return Place{0, page.frame.value() + address.page_offset()};
}

Outcome<arch::UserPage> AddressSpace::page_for(UserAddress address, bool write) {
    Region* region = address < arch::user_end ? region_for_fault(address) : nullptr;
    if (region == nullptr) {
        return fail(Errno::efault);
    }
    // The clock's page is for the program itself to read, and never copied.
    if (region->contents().purpose == Purpose::vvar) {
        return fail(Errno::efault);
    }
    // A copy of its own may be written against its rights, by a debugger; what others share may not.
    if (write && region->contents().shared && !region->contents().rights.write) {
        return fail(Errno::efault);
    }
    const UserAddress at(align_down(address.value(), page_size));
    auto page = tables_->lookup(at);
    Resolution done = Resolution::resolved;
    if (!page) {
        done = bring_in(*region, at, write);
    } else if (write && !page->writable) {
        done = unshare(*region, at, *page);
    }
    if (done != Resolution::resolved) {
        return fail(done == Resolution::out_of_memory ? Errno::enomem : Errno::efault);
    }
    page = tables_->lookup(at);
    PV_ASSERT(page.has_value());
    return *page;
}

Outcome<> AddressSpace::poke(UserAddress to, std::span<const std::byte> from) {
    const SpaceGuard guard(lock_);
    while (!from.empty()) {
        const arch::UserPage page = PV_TRY(page_for(to, true));
        const std::size_t count = std::min<std::size_t>(from.size(), page_size - to.page_offset());
        std::memcpy(to_pointer(page.frame) + to.page_offset(), from.data(), count);
        from = from.subspan(count);
        to = to + count;
    }
    return {};
}

Outcome<> AddressSpace::peek(std::span<std::byte> to, UserAddress from) {
    const SpaceGuard guard(lock_);
    while (!to.empty()) {
        const arch::UserPage page = PV_TRY(page_for(from, false));
        const std::size_t count = std::min<std::size_t>(to.size(), page_size - from.page_offset());
        std::memcpy(to.data(), to_pointer(page.frame) + from.page_offset(), count);
        to = to.subspan(count);
        from = from + count;
    }
    return {};
}

Outcome<> AddressSpace::copy_into(AddressSpace& child) {
    bool protected_any = false;
    Outcome<> copied;
    for (Region* region = regions_.first_above(UserAddress(0)); region != nullptr && copied;
         region = regions_.next(*region)) {
        const Advice::AtFork at_fork = region->contents().advice.at_fork;
        if (at_fork == Advice::AtFork::left_out) {
            continue;
        }
        copied = as_outcome(child.regions_.append(*region));
        if (!copied || region->contents().shared || at_fork == Advice::AtFork::zeroed) {
            continue;  // shared pages come from the source again
        }
        const Result<bool> was_writable = tables_->share(*child.tables_, region->begin(), region->end());
        // What was shared before memory ran out is protected too.
        protected_any = protected_any || was_writable.value_or(true);
        if (!was_writable) {
            copied = fail(Errno::enomem);
        }
    }
    if (protected_any && !tables_->flush(UserAddress(0), arch::user_end)) {
        log::error("memory: a processor does not answer while a program forks");
        return fail(Errno::enomem);
    }
    return copied;
}

Outcome<Ref<AddressSpace>> AddressSpace::fork() {
    auto child = PV_TRY(as_outcome(create(0)));
    const SpaceGuard guard(lock_);
    child->top_ = top_;
    child->heap_begin_ = heap_begin_;
    child->heap_end_ = heap_end_;
    child->limits_ = limits_;
    child->has_large_pages_ = has_large_pages_;
    PV_TRY(copy_into(*child));
    return child;
}

}  // namespace pv::memory
