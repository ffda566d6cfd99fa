// The buddy allocator of one run of page frames.
// SPDX-License-Identifier: MIT
#include "memory/buddy.hpp"

#include <algorithm>
#include <bit>
#include <memory>

#include "base/atomic.hpp"

namespace pv::memory {
namespace {

// A frame's byte: head of a free block, head of a block given out, or neither (0).
constexpr std::uint8_t free_head = 0x80;
constexpr std::uint8_t used_head = 0x40;
constexpr std::uint8_t order_bits = 0x3f;
// A single frame given out that lies in a CPU's stock: not 0, so that it is no part of a larger block either.
constexpr std::uint8_t in_stock = 0x3f;

constexpr std::uint64_t frames_in(unsigned order) {
    return std::uint64_t{1} << order;
}

constexpr std::uint8_t tagged(std::uint8_t tag, unsigned order) {
    return static_cast<std::uint8_t>(tag | order);
}

}  // namespace

Buddy::Buddy(std::uint64_t first, std::span<std::uint8_t> states, std::uint64_t window)
    : first_(first), states_(states), window_(window) {}

Buddy::~Buddy() {
    // The hooks lie in memory that is not ours to write any more.
    for (FreeList& list : lists_) {
        list.clear();
    }
}

Buddy::FreeBlock* Buddy::block_at(std::uint64_t frame) const {
    return reinterpret_cast<FreeBlock*>(window_ + frame * page_size);
}

std::uint64_t Buddy::frame_of(const FreeBlock& block) const {
    return (reinterpret_cast<std::uintptr_t>(&block) - window_) / page_size;
}

void Buddy::push(std::uint64_t frame, unsigned order) {
    state(frame) = tagged(free_head, order);
    lists_[order].push_front(*std::construct_at(block_at(frame)));
}

void Buddy::remove(std::uint64_t frame, unsigned order) {
    state(frame) = 0;
    lists_[order].erase(lists_[order].iterator_to(*block_at(frame)));
}

// Puts a block among the free, merged as far as it goes.
void Buddy::release(std::uint64_t frame, unsigned order) {
    free_ += frames_in(order);
    while (order < order_max) {
        const std::uint64_t buddy = frame ^ frames_in(order);
        if (!contains(buddy) || state(buddy) != tagged(free_head, order)) {
            break;
        }
        remove(buddy, order);
        frame = frame < buddy ? frame : buddy;
        ++order;
    }
    push(frame, order);
}

void Buddy::add(std::uint64_t frame, std::uint64_t count) {
    managed_ += count;
    while (count > 0) {
        // The largest block that starts here aligned and is not longer than what is left.
        const unsigned aligned = frame == 0 ? order_max : static_cast<unsigned>(std::countr_zero(frame));
        const auto fits = static_cast<unsigned>(std::bit_width(count) - 1);
        unsigned order = aligned < fits ? aligned : fits;
        order = order < order_max ? order : order_max;
        release(frame, order);
        frame += frames_in(order);
        count -= frames_in(order);
    }
}

std::optional<std::uint64_t> Buddy::allocate(unsigned order) {
    for (unsigned found = order; found <= order_max; ++found) {
        if (lists_[found].empty()) {
            continue;
        }
        const std::uint64_t frame = frame_of(lists_[found].front());
        remove(frame, found);
        while (found > order) {
            --found;
            push(frame + frames_in(found), found);
        }
        state(frame) = tagged(used_head, order);
        free_ -= frames_in(order);
        return frame;
    }
    return std::nullopt;
}

bool Buddy::free(std::uint64_t frame, unsigned order) {
    if (order_of(frame) != order) {
        return false;
    }
    state(frame) = 0;
    release(frame, order);
    return true;
}

bool Buddy::split(std::uint64_t frame, unsigned order) {
    if (order_of(frame) != order) {
        return false;
    }
    std::ranges::fill(states_.subspan(frame - first_, frames_in(order)), tagged(used_head, 0));
    return true;
}

// Atomic, because neighbours' bytes are read under a lock that this does not take. Not one locked
// instruction: the byte is changed by the frame's owner only, and two owners are the fault that this looks
// for.
bool Buddy::change(std::uint64_t frame, std::uint8_t from, std::uint8_t to) {
    if (!contains(frame)) {
        return false;
    }
    const AtomicRef byte(state(frame));
    if (byte.load(std::memory_order_relaxed) != from) {
        return false;
    }
    byte.store(to, std::memory_order_relaxed);
    return true;
}

bool Buddy::mark_in_stock(std::uint64_t frame) {
    return change(frame, tagged(used_head, 0), in_stock);
}

bool Buddy::unmark_in_stock(std::uint64_t frame) {
    return change(frame, in_stock, tagged(used_head, 0));
}

std::optional<unsigned> Buddy::order_of(std::uint64_t frame) const {
    if (!contains(frame)) {
        return std::nullopt;
    }
    const std::uint8_t byte = states_[frame - first_];
    if ((byte & ~order_bits) != used_head) {
        return std::nullopt;
    }
    return byte & order_bits;
}

std::optional<unsigned> Buddy::largest_free() const {
    for (unsigned order = order_max + 1; order-- > 0;) {
        if (!lists_[order].empty()) {
            return order;
        }
    }
    return std::nullopt;
}

}  // namespace pv::memory
