// operator new and delete over the slab heap and the current CPU's stock. There is no throwing new: code that
// uses one does not link.
// SPDX-License-Identifier: MIT
#include "memory/heap.hpp"

#include <array>
#include <new>
#include <span>

#include "arch/processor.hpp"
#include "arch/x86_64/cpu.hpp"
#include "boot/memory.hpp"
#include "memory/refusal.hpp"
#include "memory/slab.hpp"

namespace pv::memory {
namespace {

constinit Heap heap{{allocate_frames, free_frames, boot::order_of_frames}};

void* take(std::size_t bytes, std::size_t alignment) {
    if (is_refused()) [[unlikely]] {
        return nullptr;
    }
    const arch::InterruptsOff off;
    return heap.allocate(bytes, alignment, arch::this_cpu().heap_stock);
}

void give(void* object) {
    const arch::InterruptsOff off;
    heap.free(object, arch::this_cpu().heap_stock);
}

}  // namespace

HeapStatistics heap_statistics() {
    std::array<const Heap::CpuStock*, arch::cpus_max> stocks;
    const unsigned cpus = arch::cpu_count();
    for (unsigned i = 0; i < cpus; ++i) {
        stocks[i] = &arch::cpu(i).heap_stock;
    }
    return heap.statistics(std::span(stocks).first(cpus));
}

void drain_heap() {
    const arch::InterruptsOff off;
    heap.drain(arch::this_cpu().heap_stock);
}

}  // namespace pv::memory

void* operator new(std::size_t bytes, const std::nothrow_t&) noexcept {
    return pv::memory::take(bytes, 1);
}

void* operator new[](std::size_t bytes, const std::nothrow_t&) noexcept {
    return pv::memory::take(bytes, 1);
}

void* operator new(std::size_t bytes, std::align_val_t alignment, const std::nothrow_t&) noexcept {
    return pv::memory::take(bytes, static_cast<std::size_t>(alignment));
}

void* operator new[](std::size_t bytes, std::align_val_t alignment, const std::nothrow_t&) noexcept {
    return pv::memory::take(bytes, static_cast<std::size_t>(alignment));
}

void operator delete(void* object) noexcept {
    pv::memory::give(object);
}

void operator delete[](void* object) noexcept {
    pv::memory::give(object);
}

void operator delete(void* object, std::size_t) noexcept {
    pv::memory::give(object);
}

void operator delete[](void* object, std::size_t) noexcept {
    pv::memory::give(object);
}

void operator delete(void* object, std::align_val_t) noexcept {
    pv::memory::give(object);
}

void operator delete[](void* object, std::align_val_t) noexcept {
    pv::memory::give(object);
}

void operator delete(void* object, std::size_t, std::align_val_t) noexcept {
    pv::memory::give(object);
}

void operator delete[](void* object, std::size_t, std::align_val_t) noexcept {
    pv::memory::give(object);
}

void operator delete(void* object, const std::nothrow_t&) noexcept {
    pv::memory::give(object);
}

void operator delete[](void* object, const std::nothrow_t&) noexcept {
    pv::memory::give(object);
}
