// Each allocation of an operation fails in turn: the operation says so, and gives back all it took.
// SPDX-License-Identifier: MIT
#include <atomic>

#include "arch/x86_64/starting_cpu.hpp"
#include "base/function_ref.hpp"
#include "base/log.hpp"
#include "boot/options.hpp"
#include "boot/tests.hpp"
#include "device/dma/mapping.hpp"
#include "device/iommu/machine.hpp"
#include "device/nvme/controller.hpp"
#include "device/pci/machine.hpp"
#include "device/pci/regs.hpp"
#include "device/virtio/block.hpp"
#include "device/virtio/spec.hpp"
#include "memory/frames.hpp"
#include "memory/heap.hpp"
#include "memory/refusal.hpp"
#include "on_cpus.hpp"
#include "task/park.hpp"
#include "task/scheduler.hpp"

namespace pv::guest_test {
namespace {

// Counts down the allocations of one thread; the one that reaches zero fails.
constinit std::atomic<task::ControlBlock*> victim{nullptr};
constinit std::atomic<std::uint64_t> countdown{0};
constinit std::atomic<bool> has_refused{false};

// `test_refuse=N`: of the allocations since the kernel's first instruction, by whichever CPU, the one that
// fails.
constexpr std::uint64_t not_asked_yet = ~0ULL;
constinit std::atomic<std::uint64_t> left_at_start{not_asked_yet};

bool refuse_at_start() {
    std::uint64_t left = left_at_start.load(std::memory_order_relaxed);
    if (left == not_asked_yet) {
        const auto text = boot::option("test_refuse");
        left = text ? boot::parse_number(*text).value_or(0) : 0;
        left_at_start.store(left, std::memory_order_relaxed);
    }
    return left != 0 && left_at_start.fetch_sub(1, std::memory_order_relaxed) == 1;
}

}  // namespace
}  // namespace pv::guest_test

namespace pv::memory {

bool refuse_allocation() {
    using namespace guest_test;
    if (refuse_at_start()) {
        return true;
    }
    if (victim.load(std::memory_order_relaxed) == nullptr || task::in_interrupt() ||
        task::Scheduler::current_or_null() != victim || countdown == 0) {
        return false;
    }
    if (--countdown > 0) {
        return false;
    }
    has_refused = true;
    return true;
}

}  // namespace pv::memory

namespace pv::guest_test {
namespace {

struct Held {
    std::uint64_t objects = 0;
    std::uint64_t frames =
        0;  ///< free, or a slab: how many slabs the same objects fill is up to where they lie
    std::uint64_t mappings = 0;

    static Held now() {
        on_each_cpu("drain", [](void*) { memory::drain_heap(); }, nullptr);
        task::sleep(Duration::milliseconds(2));  // the drainers' own blocks
        memory::drain_heap();
        const dma::Statistics dma = dma::statistics();
        const memory::HeapStatistics heap = memory::heap_statistics();
        return {heap.objects, memory::frame_statistics().free + heap.slabs * (memory::slab_bytes / page_size),
                dma.live + dma.abandoned};
    }
};

constexpr std::uint64_t allocations_max = 400;

// The last thread that ended on a CPU keeps its stack until that CPU switches again, and an IOMMU's domain
// keeps the tables of addresses it once used: a few frames, and no more with time.
std::uint64_t slack() {
    return 4 + 4 * std::uint64_t{arch::cpu_count()};
}

// `operation` is called with its first allocation failing, then its second, ... until none fails. It undoes
// itself when it succeeds, and returns whether it did.
void fail_each_allocation(std::string_view name, FunctionRef<bool()> operation) {
    PV_EXPECT(operation());
    PV_EXPECT(operation());
    const Held before = Held::now();
    std::uint64_t failed = 0;
    std::uint64_t survived = 0;
    std::uint64_t nth = 0;
    do {
        has_refused = false;
        countdown = ++nth;
        victim = &task::current();
        const bool succeeded = operation();
        victim = nullptr;
        failed += succeeded ? 0U : 1U;
        survived += succeeded && has_refused ? 1U : 0U;
        PV_EXPECT(has_refused || succeeded);
        const auto lost = [&before](const Held& held) {
            return held.objects != before.objects || held.mappings != before.mappings ||
                   held.frames + slack() < before.frames;
        };
        // A thread that has ended may still be on its way out on a busy host.
        Held after = Held::now();
        for (int again = 0; again < 100 && lost(after); ++again) {
            after = Held::now();
        }
        if (lost(after)) {
            log::error("{}: allocation {} failed: {} objects, {} frames, {} mappings more than before", name,
                       nth, after.objects - before.objects, before.frames - after.frames,
                       after.mappings - before.mappings);
            PV_EXPECT(false);
            return;
        }
    } while (has_refused && nth < allocations_max);
    PV_EXPECT(!has_refused);
    PV_EXPECT(Held::now().frames + slack() >= before.frames);
    log::info("{}: {} allocations, {} of them fatal to it, {} not; nothing leaked", name, nth - 1, failed,
              survived);
    PV_EXPECT(nth > 1);
}

}  // namespace

// LEDGER C19.
PV_GUEST_TEST(each_allocation_fails) {
    std::array<task::Thread, 24> threads;
    fail_each_allocation("threads", [&threads] {
        bool all = true;
        for (task::Thread& thread : threads) {
            auto made =
                task::Thread::create("short", [](void*) { task::sleep(Duration::milliseconds(5)); }, nullptr);
            all = all && made.has_value();
            if (made) {
                thread = std::move(*made);
            }
        }
        for (task::Thread& thread : threads) {
            PV_EXPECT(!thread.joinable() || thread.join(Deadline::after(cpus_patience)).has_value());
        }
        return all;
    });
}

// What another CPU needs before it is called.
PV_GUEST_TEST(each_allocation_for_a_cpu_fails) {
    constexpr unsigned unused = 100;
    fail_each_allocation("a CPU", [] { return arch::StartingCpu::create(unused, unused).has_value(); });
}

// The kernel's own start, with the allocation failing that `test_refuse=N` chose: it has come this far, and
// what runs works. test_start.py looks at one N after the other.
PV_GUEST_TEST(starts_without) {
    const std::uint64_t left = left_at_start.exchange(0, std::memory_order_relaxed);
    std::atomic<unsigned> ran{0};
    on_each_cpu("runs", [](void* count) { static_cast<std::atomic<unsigned>*>(count)->fetch_add(1); }, &ran);
    PV_EXPECT(ran == arch::cpu_count());
    const Held held = Held::now();
    log::info("start: {} allocations left, {} CPUs, {} objects, {} frames", left, arch::cpu_count(),
              held.objects, held.frames);
}

// The same for the drivers' whole way up, with one NVMe and one virtio-blk disk.
PV_GUEST_TEST(each_allocation_of_a_driver_fails) {
    const auto functions = pci::find_functions();
    PV_EXPECT(functions.has_value());
    iommu::start(*functions);
    log::set_threshold(log::Level::error);
    unsigned drivers = 0;
    for (const pci::Found& found : *functions) {
        const bool is_nvme = found.base_class == pci::Registers::class_mass_storage &&
                             found.subclass == pci::Registers::subclass_nvme;
        const bool is_virtio = found.vendor == virtio::pci_vendor;
        if (!is_nvme && !is_virtio) {
            continue;
        }
        ++drivers;
        fail_each_allocation(is_nvme ? "nvme" : "virtio-blk", [&] {
            const pci::Function function = pci::function_at(found.address);
            auto controller =
                is_nvme ? nvme::Controller::create(function, 0) : virtio::Block::create(function, 0);
            if (controller) {
                (*controller)->shut_down(Deadline::after(Duration::seconds(10)));
            }
            return controller.has_value();
        });
    }
    log::set_threshold(log::Level::info);
    PV_EXPECT(drivers == 2);
    log::info("{} drivers", drivers);
}

}  // namespace pv::guest_test
