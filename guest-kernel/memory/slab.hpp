// The kernel heap: size classes in slabs, with a small stock of objects for each CPU.
// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "base/address.hpp"
#include "base/atomic.hpp"
#include "memory/frames.hpp"
#include "task/spin_lock.hpp"

namespace pv::memory {

/// Where a heap gets its slabs.
struct FrameProvider {
    Result<PhysicalAddress> (*allocate)(unsigned order);
    void (*free)(PhysicalAddress address, unsigned order);
    /// The order of a block given out, to free large objects without being told their size.
    unsigned (*order_of)(PhysicalAddress address);
};

inline constexpr std::size_t slab_order = 3;
inline constexpr std::size_t slab_bytes = page_size << slab_order;
inline constexpr std::array<std::uint16_t, 10> slab_classes{16,  32,   64,   128,  256,
                                                            512, 1024, 2048, 4096, 8192};

struct HeapStatistics {
    std::uint64_t objects = 0;  ///< given out, large ones included
    std::uint64_t slabs = 0;    ///< held
    std::uint64_t large = 0;    ///< objects that are frame blocks of their own
    std::uint64_t refills = 0;  ///< times a CPU's stock had to take a class's lock to be filled
};

/// An object is aligned to its class's size, so to any power of two up to its own size rounded up. Larger
/// than the last class: a block of frames of its own. Each CPU serves most calls from its own magazine, with
/// interrupts off and no lock; a class's lock is taken once for half a magazine.
class Heap {
  public:
    static constexpr std::size_t magazine_size = 32;

    struct Magazine {
        std::uint32_t count = 0;
        std::array<void*, magazine_size> objects{};
    };

    /// One CPU's stock, a magazine a class.
    struct CpuStock {
        std::array<Magazine, slab_classes.size()> magazines{};
        // Written by the stock's CPU only; others read them for statistics.
        Atomic<std::uint64_t> allocated{0};
        Atomic<std::uint64_t> freed{0};
        Atomic<std::uint64_t> refills{0};
    };

    constexpr explicit Heap(FrameProvider frames) : frames_(frames) {}

    /// nullptr when there is no memory. `stock` is the current CPU's, interrupts are off. bytes = 0 counts as
    /// 1; `alignment` is a power of two, at most slab_bytes.
    [[nodiscard]] void* allocate(std::size_t bytes, std::size_t alignment, CpuStock& stock);
    /// What allocate returned, on any CPU. A pointer that cannot be an object panics.
    void free(void* object, CpuStock& stock);
    /// Gives a CPU's stock back to the slabs, and empty slabs back to the frames.
    void drain(CpuStock& stock);

    /// Slabs, large objects and refills; `stocks` are all CPUs' stocks. While others allocate, the counts are
    /// of slightly different moments.
    [[nodiscard]] HeapStatistics statistics(std::span<const CpuStock* const> stocks);

  private:
    struct Slab;

    struct SlabClass {
        task::SpinLock lock{task::Rank::slab};
        Slab* partial = nullptr;  ///< slabs with a free object
        std::uint64_t slabs = 0;
        std::uint64_t empty = 0;  ///< of them, without an object given out
    };

    // The lock of the class is held.
    void* take(SlabClass& slab_class);
    void give(SlabClass& slab_class, void* object, Slab*& unused);
    bool grow(std::size_t index);
    void link(SlabClass& slab_class, Slab& slab);
    void unlink(SlabClass& slab_class, Slab& slab);

    bool refill(std::size_t index, CpuStock& stock);
    void flush(std::size_t index, Magazine& magazine, std::size_t keep);

    FrameProvider frames_;
    std::array<SlabClass, slab_classes.size()> classes_{};
    Atomic<std::uint64_t> large_{0};
};

}  // namespace pv::memory
