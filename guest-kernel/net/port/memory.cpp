// Memory of packets: from the kernel's heap, and only so much.
// SPDX-License-Identifier: MIT
#include <cstring>
#include <new>

#include "base/atomic.hpp"
#include "net/port/hooks.h"
#include "net/port/port.hpp"

namespace pv::net::port {
namespace {

/// Before what lwIP is given; keeps its alignment.
struct alignas(16) Header {
    std::size_t bytes;
};

// Written by the network's thread; others read them for figures.
constinit Atomic<std::size_t> used{0};
constinit Atomic<std::size_t> highest{0};
constinit Atomic<std::uint64_t> refused{0};

}  // namespace

Memory memory() {
    return {used.load(std::memory_order_relaxed), highest.load(std::memory_order_relaxed),
            refused.load(std::memory_order_relaxed)};
}

}  // namespace pv::net::port

extern "C" {

void* pv_lwip_allocate(std::size_t bytes) {
    using namespace pv::net::port;
    const std::size_t before = used.load(std::memory_order_relaxed);
    void* memory = bytes > memory_limit - before
                       ? nullptr
                       : ::operator new(sizeof(Header) + bytes, std::align_val_t{16}, std::nothrow);
    if (memory == nullptr) {
        refused.store(refused.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
        return nullptr;
    }
    const std::size_t after = before + bytes;
    used.store(after, std::memory_order_relaxed);
    if (after > highest.load(std::memory_order_relaxed)) {
        highest.store(after, std::memory_order_relaxed);
    }
    return new (memory) Header{bytes} + 1;
}

void* pv_lwip_allocate_zeroed(std::size_t count, std::size_t bytes) {
    std::size_t all = 0;
    void* memory = __builtin_mul_overflow(count, bytes, &all) ? nullptr : pv_lwip_allocate(all);
    return memory == nullptr ? nullptr : std::memset(memory, 0, all);
}

void pv_lwip_free(void* memory) {
    using namespace pv::net::port;
    if (memory == nullptr) {
        return;
    }
    Header* header = static_cast<Header*>(memory) - 1;
    used.store(used.load(std::memory_order_relaxed) - header->bytes, std::memory_order_relaxed);
    ::operator delete(header, std::align_val_t{16});
}
}
