// Bounce buffers: without an IOMMU, a fixed pool is all the memory that devices are told to use for data.
// SPDX-License-Identifier: MIT
#include "device/dma/bounce.hpp"

#include <algorithm>
#include <new>

#include "base/atomic.hpp"
#include "base/panic.hpp"
#include "memory/frames.hpp"
#include "memory/range_allocator.hpp"
#include "task/lock.hpp"
#include "task/wait_queue.hpp"

namespace pv::dma::bounce {
namespace {

constexpr std::uint64_t share = 16;

struct Books {
    explicit Books(std::uint64_t begin, std::uint64_t end) : addresses{begin, end} {}

    memory::RangeAllocator addresses;
    std::uint64_t highest = 0;
    std::uint64_t lasting = 0;
};

struct Pool {
    explicit Pool(memory::Frames block)
        : frames{std::move(block)},
          books{frames.address().value(), frames.address().value() + frames.size()} {}

    memory::Frames frames;
    task::Guarded<Books, task::Rank::dma> books;
    task::WaitQueue room;
    Atomic<std::uint64_t> waits{0};
};

constinit Atomic<Pool*> pool{nullptr};  // once set, for good

Result<std::uint64_t> try_take(Pool& from, std::uint64_t length, bool lasting) {
    return from.books.with([&](Books& books) -> Result<std::uint64_t> {
        if (lasting && length > from.frames.size() / 2 - books.lasting) {
            return fail(Error::busy);
        }
        const std::uint64_t taken = PV_TRY(books.addresses.allocate(length));
        books.highest = std::max(books.highest, books.addresses.in_use());
        books.lasting += lasting ? length : 0;
        return taken;
    });
}

/// Whole pages for `length` bytes, if the pool has as many at all.
Result<std::uint64_t> pages_for(const Pool& of, std::size_t length) {
    const std::uint64_t bytes = align_up(length, page_size);
    return length == 0 || length > of.frames.size() ? fail(Error::out_of_range)
                                                    : Result<std::uint64_t>{bytes};
}

Slice slice_at(const Pool& of, std::uint64_t address, std::uint64_t length, bool lasting) {
    return {PhysicalAddress{address},
            of.frames.bytes().subspan(address - of.frames.address().value(), length), lasting};
}

}  // namespace

Result<> start() {
    PV_ASSERT(!active());
    const std::uint64_t bytes = memory::frame_statistics().total * page_size / share;
    unsigned order = std::min(memory::order_max, memory::order_for(bytes));
    while (true) {
        auto frames = memory::Frames::allocate(order);
        if (frames) {
            auto* made = new (std::nothrow) Pool{std::move(*frames)};
            if (made == nullptr) {
                return fail(Error::out_of_memory);
            }
            pool.store(made, std::memory_order_release);
            return {};
        }
        if (order == 0) {
            return fail(Error::out_of_memory);
        }
        --order;
    }
}

bool active() {
    return pool.load(std::memory_order_acquire) != nullptr;
}

Result<Slice> take(std::size_t length, Deadline deadline) {
    Pool* from = pool.load(std::memory_order_acquire);
    PV_ASSERT(from != nullptr);
    const std::uint64_t bytes = PV_TRY(pages_for(*from, length));
    auto taken = try_take(*from, bytes, false);
    if (!taken && deadline.expired()) {
        return fail(Error::busy);
    }
    if (!taken) {
        from->waits.fetch_add(1, std::memory_order_relaxed);
        PV_TRY(from->room.wait(deadline, [&] {
            taken = try_take(*from, bytes, false);
            return taken.has_value();
        }));
    }
    return slice_at(*from, *taken, bytes, false);
}

Result<Slice> take_lasting(std::size_t length) {
    Pool* from = pool.load(std::memory_order_acquire);
    PV_ASSERT(from != nullptr);
    const std::uint64_t bytes = PV_TRY(pages_for(*from, length));
    const auto taken = try_take(*from, bytes, true);
    return taken ? Result<Slice>{slice_at(*from, *taken, bytes, true)} : fail(Error::busy);
}

void give_back(const Slice& slice) {
    Pool* to = pool.load(std::memory_order_acquire);
    to->books.with([&](Books& books) {
        books.addresses.free(slice.physical.value(), slice.bytes.size());
        books.lasting -= slice.lasting ? slice.bytes.size() : 0;
    });
    // All: the first in line may want more than there is now, and another less.
    to->room.wake_all();
}

Figures figures() {
    Pool* of = pool.load(std::memory_order_acquire);
    if (of == nullptr) {
        return {};
    }
    return of->books.with([&](Books& books) {
        return Figures{of->frames.size(), books.addresses.in_use(), books.lasting, books.highest,
                       of->waits.load(std::memory_order_relaxed)};
    });
}

}  // namespace pv::dma::bounce
