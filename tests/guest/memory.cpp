// Frames and heap on the real machine: all of RAM, failure without leaks, stress.
// SPDX-License-Identifier: MIT
#include <array>
#include <atomic>
#include <cstring>
#include <new>

#include "acpi/tables.hpp"
#include "base/log.hpp"
#include "boot/memory.hpp"
#include "boot/tests.hpp"
#include "memory/device_map.hpp"
#include "memory/direct_map.hpp"
#include "memory/frames.hpp"
#include "memory/heap.hpp"
#include "task/thread.hpp"

namespace pv::guest_test {
namespace {

using namespace literals;

/// Blocks chained through their own first words, so that keeping them needs no memory.
struct Block {
    Block* next;
    std::uint64_t order;
    std::uint64_t address;  ///< a copy that an overlapping block would overwrite
};

struct Chain {
    Block* first = nullptr;
    std::uint64_t frames = 0;
};

Chain take_everything() {
    Chain chain;
    for (unsigned order = memory::order_max + 1; order-- > 0;) {
        while (const auto address = memory::allocate_frames(order)) {
            auto* block = memory::to_pointer<Block>(*address);
            *block = {chain.first, order, address->value()};
            chain.first = block;
            chain.frames += std::uint64_t{1} << order;
        }
    }
    return chain;
}

bool give_back(Chain chain) {
    bool whole = true;
    while (chain.first != nullptr) {
        const Block block = *chain.first;
        whole = whole && memory::to_physical(chain.first).value() == block.address;
        memory::free_frames(PhysicalAddress(block.address), static_cast<unsigned>(block.order));
        chain.first = block.next;
    }
    return whole;
}

std::uint64_t ram_bytes() {
    std::uint64_t bytes = 0;
    for (const memory::Range& range : boot::ram()) {
        bytes += range.size();
    }
    return bytes;
}

std::uint32_t next_random(std::uint32_t& state) {
    state ^= state << 13;
    state ^= state >> 17;
    state ^= state << 5;
    return state;
}

struct HeapWorker {
    std::uint32_t seed;
    std::atomic<std::uint32_t> corrupted{0};
};

// Random sizes in random order; every byte of each object is its own.
void work_on_heap(void* argument) {
    auto& worker = *static_cast<HeapWorker*>(argument);
    std::uint32_t random = worker.seed;

    struct Object {
        unsigned char* bytes = nullptr;
        std::size_t size = 0;
    };

    std::array<Object, 64> objects{};
    for (int i = 0; i < 20'000; ++i) {
        Object& object = objects[next_random(random) % objects.size()];
        const auto pattern = static_cast<unsigned char>(reinterpret_cast<std::uintptr_t>(object.bytes) >> 4);
        if (object.bytes != nullptr) {
            for (const std::size_t at : {std::size_t{0}, object.size / 2, object.size - 1}) {
                worker.corrupted += object.bytes[at] == pattern ? 0U : 1U;
            }
            ::operator delete(object.bytes);
            object = {};
            continue;
        }
        const std::uint32_t draw = next_random(random);
        object.size = 1 + (draw % 16 == 0 ? draw % 40'000 : draw % 600);
        object.bytes = static_cast<unsigned char*>(::operator new(object.size, std::nothrow));
        if (object.bytes != nullptr) {
            std::memset(object.bytes,
                        static_cast<unsigned char>(reinterpret_cast<std::uintptr_t>(object.bytes) >> 4),
                        object.size);
        }
    }
    for (const Object& object : objects) {
        ::operator delete(object.bytes);
    }
}

}  // namespace

// LEDGER H16, R14, R20.
PV_GUEST_TEST(frames_use_all_memory) {
    const memory::FrameStatistics before = memory::frame_statistics();
    const Chain chain = take_everything();
    PV_EXPECT(chain.frames == before.free);
    PV_EXPECT(memory::frame_statistics().free == 0);
    PV_EXPECT(!memory::allocate_frames(0).has_value());
    PV_EXPECT(give_back(chain));
    const memory::FrameStatistics after = memory::frame_statistics();
    PV_EXPECT(after.free == before.free);
    PV_EXPECT(after.largest_order >= before.largest_order);
    const std::uint64_t ram = ram_bytes();
    const std::uint64_t managed = before.total * page_size;
    log::info("frames: {} MiB managed of {} MiB of RAM, highest {}", managed >> 20, ram >> 20,
              before.highest);
    // All but the first MiB, the kernel, page tables and one byte a frame: 4 MiB and a hundredth.
    PV_EXPECT(managed + (4 << 20) + ram / 100 >= ram);
}

// LEDGER C19: each failure gives back what it took.
PV_GUEST_TEST(out_of_memory_leaks_nothing) {
    // Warm: a cached stack, a slab of each class used below.
    {
        auto thread = task::Thread::create("warm", [](void*) {}, nullptr);
        PV_EXPECT(thread.has_value() && thread->join(Deadline::after(5_s)).has_value());
    }
    memory::drain_heap();
    const std::uint64_t objects = memory::heap_statistics().objects;
    const Chain chain = take_everything();
    int threads = 0;
    std::array<task::Thread, 64> running;
    // With no frame left only what is cached can be had; then creation fails, again and again alike.
    // None of them ends meanwhile: its stack would be there for another one.
    static constinit std::atomic<bool> may_end{false};
    const auto wait_for_the_end = [](void*) {
        while (!may_end.load()) {
            task::sleep(1_ms);
        }
    };
    while (threads < 64) {
        auto thread = task::Thread::create("last", wait_for_the_end, nullptr);
        if (!thread) {
            PV_EXPECT(thread.error() == Error::out_of_memory);
            break;
        }
        running[static_cast<std::size_t>(threads++)] = std::move(*thread);
    }
    PV_EXPECT(threads < 64);
    for (int i = 0; i < 1000; ++i) {
        PV_EXPECT(!task::Thread::create("none", [](void*) {}, nullptr).has_value());
        PV_EXPECT(::operator new(100'000, std::nothrow) == nullptr);
    }
    may_end.store(true);
    for (int i = 0; i < threads; ++i) {
        PV_EXPECT(running[static_cast<std::size_t>(i)].join(Deadline::after(5_s)).has_value());
    }
    PV_EXPECT(give_back(chain));
    PV_EXPECT(memory::heap_statistics().objects == objects);
    auto thread = task::Thread::create("again", [](void*) {}, nullptr);
    PV_EXPECT(thread.has_value() && thread->join(Deadline::after(5_s)).has_value());
}

PV_GUEST_TEST(heap_stress) {
    const memory::HeapStatistics before = memory::heap_statistics();
    memory::drain_heap();
    const std::uint64_t frames = memory::frame_statistics().free;
    std::array<HeapWorker, 4> workers{{{1}, {22}, {333}, {4444}}};
    std::array<task::Thread, 4> threads;
    for (std::size_t i = 0; i < workers.size(); ++i) {
        auto thread = task::Thread::create("heap", work_on_heap, &workers[i]);
        PV_EXPECT(thread.has_value());
        threads[i] = std::move(*thread);
    }
    for (std::size_t i = 0; i < workers.size(); ++i) {
        PV_EXPECT(threads[i].join(Deadline::after(60_s)).has_value());
        PV_EXPECT(workers[i].corrupted == 0);
    }
    // A thread's own block goes a moment after it was joined.
    const Deadline end = Deadline::after(5_s);
    while (memory::heap_statistics().objects != before.objects && !end.expired()) {
        task::sleep(1_ms);
    }
    const memory::HeapStatistics after = memory::heap_statistics();
    PV_EXPECT(after.objects == before.objects);
    PV_EXPECT(after.large == before.large);
    memory::drain_heap();
    // Stacks of the four threads are kept; one empty slab a class may be.
    const std::uint64_t kept = 4 * 4 + 8 * memory::slab_classes.size();
    PV_EXPECT(memory::frame_statistics().free + kept >= frames);
    log::info("heap: {} refills for some 40000 objects, {} slabs left", after.refills - before.refills,
              memory::heap_statistics().slabs);
}

PV_GUEST_TEST(device_maps_refuse_ram) {
    PV_EXPECT(!memory::map_device(PhysicalAddress(0x20'0000), page_size).has_value());
    PV_EXPECT(!memory::map_device(
                   boot::ram().empty() ? PhysicalAddress(0) : PhysicalAddress(boot::ram()[0].begin), 1)
                   .has_value());
    PV_EXPECT(!memory::map_device(PhysicalAddress(0xfee0'0000), 0).has_value());
    PV_EXPECT(!memory::map_device(PhysicalAddress(~std::uint64_t{0} - 10), 100).has_value());
    const auto mapped = memory::map_device(PhysicalAddress(0xfed0'0010), 8);  // the HPET's page
    PV_EXPECT(mapped.has_value() && mapped->page_offset() == 0x10);
    const std::uint64_t frames = memory::frame_statistics().free;
    memory::unmap_device(*mapped, 8);
    for (int i = 0; i < 1000; ++i) {
        const auto again = memory::map_device(PhysicalAddress(0xfed0'0000), 3 * page_size);
        PV_EXPECT(again.has_value());
        memory::unmap_device(*again, 3 * page_size);
    }
    PV_EXPECT(memory::frame_statistics().free + 8 >= frames);
}

PV_GUEST_TEST(acpi_tables) {
    const acpi::Tables& tables = acpi::tables();
    PV_EXPECT(tables.processors.size() >= 1);
    PV_EXPECT(tables.io_apics.size() == 1);
    PV_EXPECT(tables.ecam.size() == 1 && tables.ecam[0].last_bus == 255);
    PV_EXPECT(tables.fixed && tables.fixed->pm1a_control == 0x604 && tables.fixed->pm_timer == 0x608);
    PV_EXPECT(tables.refused == 0);
    log::info("IOMMUs: {}, interrupt remapping {}", tables.remapping.size(), tables.interrupt_remapping);
}

}  // namespace pv::guest_test
