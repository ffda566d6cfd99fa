// The kernel heap: slabs, magazines, large objects.
// SPDX-License-Identifier: MIT
#include "memory/slab.hpp"

#include <algorithm>
#include <bit>
#include <memory>

#include "base/atomic.hpp"
#include "base/panic.hpp"
#include "memory/direct_map.hpp"

namespace pv::memory {

/// At the start of each block of frames that is a slab; objects follow at multiples of their size.
struct Heap::Slab {
    std::uint32_t magic;
    std::uint32_t index;   ///< of the size class
    std::uint32_t in_use;  ///< objects out of this slab, those in magazines included
    std::uint32_t capacity;
    void* free;  ///< first free object; each holds the next
    Slab* next;
    Slab* previous;
};

namespace {

constexpr std::uint32_t slab_magic = 0x534c'4142;
constexpr std::size_t refill_count = Heap::magazine_size / 2;
constexpr std::uint64_t empty_slabs_kept = 1;  // a class: so that one object back and forth costs no frames

// The classes are successive powers of two.
constexpr std::size_t class_for(std::size_t bytes) {
    constexpr auto width_of_first = static_cast<std::size_t>(std::bit_width(slab_classes.front() - 1U));
    const auto width = static_cast<std::size_t>(std::bit_width(bytes - 1));
    return std::min(std::max(width, width_of_first) - width_of_first, slab_classes.size());
}

constexpr bool finds_each_class() {
    for (std::size_t i = 0; i < slab_classes.size(); ++i) {
        if (!std::has_single_bit(slab_classes[i]) || class_for(slab_classes[i]) != i ||
            class_for(slab_classes[i] + 1U) != i + 1) {
            return false;
        }
    }
    return class_for(1) == 0;
}

static_assert(finds_each_class());

void*& next_of(void* object) {
    return *static_cast<void**>(object);
}

// By its own CPU alone, so that no locked instruction is needed.
void count(Atomic<std::uint64_t>& counter) {
    counter.store(counter.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
}

}  // namespace

void Heap::link(SlabClass& slab_class, Slab& slab) {
    slab.previous = nullptr;
    slab.next = slab_class.partial;
    if (slab.next != nullptr) {
        slab.next->previous = &slab;
    }
    slab_class.partial = &slab;
}

void Heap::unlink(SlabClass& slab_class, Slab& slab) {
    (slab.previous != nullptr ? slab.previous->next : slab_class.partial) = slab.next;
    if (slab.next != nullptr) {
        slab.next->previous = slab.previous;
    }
    slab.next = nullptr;
    slab.previous = nullptr;
}

bool Heap::grow(std::size_t index) {
    const Result<PhysicalAddress> frames = frames_.allocate(slab_order);
    if (!frames) {
        return false;
    }
    const std::size_t size = slab_classes[index];
    auto* bytes = to_pointer(*frames);
    auto* slab = std::construct_at(
        reinterpret_cast<Slab*>(bytes),
        Slab{slab_magic, static_cast<std::uint32_t>(index), 0, 0, nullptr, nullptr, nullptr});
    const std::size_t first = align_up(sizeof(Slab), size);
    // Linked from the back, so that objects are given out in order of address.
    for (std::size_t offset = slab_bytes - size; offset >= first; offset -= size) {
        next_of(bytes + offset) = slab->free;
        slab->free = bytes + offset;
        ++slab->capacity;
    }
    SlabClass& slab_class = classes_[index];
    link(slab_class, *slab);
    ++slab_class.slabs;
    ++slab_class.empty;
    return true;
}

void* Heap::take(SlabClass& slab_class) {
    Slab* slab = slab_class.partial;
    if (slab == nullptr) {
        return nullptr;
    }
    void* object = slab->free;
    slab->free = next_of(object);
    slab_class.empty -= slab->in_use == 0 ? 1 : 0;
    ++slab->in_use;
    if (slab->free == nullptr) {
        unlink(slab_class, *slab);
    }
    return object;
}

// `unused` collects slabs that hold nothing any more and are wanted no longer.
void Heap::give(SlabClass& slab_class, void* object, Slab*& unused) {
    auto* slab = reinterpret_cast<Slab*>(align_down(reinterpret_cast<std::uintptr_t>(object), slab_bytes));
    const bool was_full = slab->free == nullptr;
    next_of(object) = slab->free;
    slab->free = object;
    --slab->in_use;
    if (was_full) {
        link(slab_class, *slab);
    }
    if (slab->in_use > 0) {
        return;
    }
    ++slab_class.empty;
    if (slab_class.empty > empty_slabs_kept) {
        unlink(slab_class, *slab);
        --slab_class.empty;
        --slab_class.slabs;
        slab->next = unused;
        unused = slab;
    }
}

bool Heap::refill(std::size_t index, CpuStock& stock) {
    Magazine& magazine = stock.magazines[index];
    SlabClass& slab_class = classes_[index];
    const task::SpinGuard guard(slab_class.lock);
    count(stock.refills);
    while (magazine.count < refill_count) {
        void* object = take(slab_class);
        if (object == nullptr) {
            if (grow(index)) {
                continue;
            }
            break;
        }
        magazine.objects[magazine.count++] = object;
    }
    return magazine.count > 0;
}

void Heap::flush(std::size_t index, Magazine& magazine, std::size_t keep) {
    SlabClass& slab_class = classes_[index];
    Slab* unused = nullptr;
    {
        const task::SpinGuard guard(slab_class.lock);
        while (magazine.count > keep) {
            give(slab_class, magazine.objects[--magazine.count], unused);
        }
    }
    while (unused != nullptr) {
        Slab* next = unused->next;
        unused->magic = 0;
        frames_.free(to_physical(unused), slab_order);
        unused = next;
    }
}

void* Heap::allocate(std::size_t bytes, std::size_t alignment, CpuStock& stock) {
    const std::size_t needed = std::max<std::size_t>({bytes, alignment, 1});
    const std::size_t index = class_for(needed);
    if (index == slab_classes.size()) {
        if (alignment > slab_bytes) {
            return nullptr;
        }
        // At least a slab's order: its address is then a multiple of slab_bytes, as no slab's object is.
        const unsigned order = std::max<unsigned>(order_for(needed), slab_order);
        const Result<PhysicalAddress> frames = frames_.allocate(order);
        if (!frames) {
            return nullptr;
        }
        large_.fetch_add(1, std::memory_order_relaxed);
        count(stock.allocated);
        return to_pointer<void>(*frames);
    }
    Magazine& magazine = stock.magazines[index];
    if (magazine.count == 0 && !refill(index, stock)) {
        return nullptr;
    }
    count(stock.allocated);
    return magazine.objects[--magazine.count];
}

void Heap::free(void* object, CpuStock& stock) {
    if (object == nullptr) {
        return;
    }
    count(stock.freed);
    const auto address = reinterpret_cast<std::uintptr_t>(object);
    const std::uintptr_t base = align_down(address, slab_bytes);
    if (address == base) {
        large_.fetch_sub(1, std::memory_order_relaxed);
        const PhysicalAddress frames = to_physical(object);
        frames_.free(frames, frames_.order_of(frames));
        return;
    }
    const Slab& slab = *reinterpret_cast<const Slab*>(base);
    if (slab.magic != slab_magic || slab.index >= slab_classes.size() ||
        ((address - base) & (slab_classes[slab.index] - 1U)) != 0) {
        panic("free of {}, which is no object of the heap", object);
    }
    Magazine& magazine = stock.magazines[slab.index];
    if (magazine.count == magazine_size) {
        flush(slab.index, magazine, magazine_size - refill_count);
    }
    magazine.objects[magazine.count++] = object;
}

void Heap::drain(CpuStock& stock) {
    for (std::size_t i = 0; i < slab_classes.size(); ++i) {
        flush(i, stock.magazines[i], 0);
    }
}

HeapStatistics Heap::statistics(std::span<const CpuStock* const> stocks) {
    HeapStatistics total;
    for (const CpuStock* stock : stocks) {
        total.objects +=
            stock->allocated.load(std::memory_order_relaxed) - stock->freed.load(std::memory_order_relaxed);
        total.refills += stock->refills.load(std::memory_order_relaxed);
    }
    for (SlabClass& slab_class : classes_) {
        const task::SpinGuard guard(slab_class.lock);
        total.slabs += slab_class.slabs;
    }
    total.large = large_.load(std::memory_order_relaxed);
    return total;
}

}  // namespace pv::memory
