// VT-d's invalidation queue: what the unit remembers is forgotten, and known to be.
// SPDX-License-Identifier: MIT
#include "device/iommu/invalidation_queue.hpp"

#include <new>

#include "arch/processor.hpp"
#include "base/atomic.hpp"
#include "base/log.hpp"
#include "base/marker.hpp"
#include "device/iommu/regs.hpp"
#include "memory/direct_map.hpp"

namespace pv::iommu {
namespace {

using namespace literals;

/// The specification bounds an invalidation by nothing; a unit that needs this long is out of order.
constexpr Duration invalidation_deadline = 2_s;
constexpr std::uint32_t entries = page_size / sizeof(spec::Descriptor);
constexpr unsigned index_shift = 4;  // IQH_REG and IQT_REG count bytes

}  // namespace

Result<std::unique_ptr<InvalidationQueue>> InvalidationQueue::create(const mmio::Window& registers) {
    TableFrames ring = PV_TRY(TableFrames::allocate(page_size));
    memory::Frames status = PV_TRY(memory::Frames::allocate_zeroed(page_size));
    std::unique_ptr<InvalidationQueue> queue{
        new (std::nothrow) InvalidationQueue{registers, std::move(ring), std::move(status)}};
    if (queue == nullptr) {
        return fail(Error::out_of_memory);
    }
    registers.write(Registers::queue_tail, std::uint64_t{0});
    registers.write(Registers::queue_address, queue->ring_.address().value());  // one page, 16-byte entries
    return queue;
}

AtomicRef<std::uint32_t> InvalidationQueue::status() const {
    return AtomicRef{*memory::to_pointer<std::uint32_t>(status_.address())};
}

Result<> InvalidationQueue::make_room(State& state, std::size_t count, Deadline deadline) {
    // One entry stays empty: a full queue would look like an empty one.
    while ((state.head + entries - state.tail - 1) % entries < count) {
        const bool last = deadline.expired();
        state.head =
            static_cast<std::uint32_t>(registers_.read(Registers::queue_head) >> index_shift) % entries;
        if (last) {
            return fail(Error::timed_out);
        }
        arch::relax();
    }
    return {};
}

void InvalidationQueue::put(State& state, const spec::Descriptor& descriptor) {
    memory::to_pointer<spec::Descriptor>(ring_.address())[state.tail] = descriptor;
    state.tail = (state.tail + 1) % entries;
}

Result<> InvalidationQueue::wait(std::uint32_t sequence, Deadline deadline) {
    const auto done = [&] {
        return static_cast<std::int32_t>(status().load(std::memory_order_acquire) - sequence) >= 0;
    };
    if (done()) {
        return {};
    }
    const std::uint64_t wait = marker::next_wait();
    marker::wait_begin(wait, marker::WaitKind::memory, deadline.remaining(), status_.address().value());
    bool good = false;
    while (true) {
        const bool last = deadline.expired();
        good = done();
        if (good || last) {
            break;
        }
        arch::relax();
    }
    marker::wait_end(wait, good ? marker::WaitResult::satisfied : marker::WaitResult::timed_out);
    return good ? Result<>{} : fail(Error::timed_out);
}

void InvalidationQueue::give_up(std::string_view what) {
    const bool first = state_.with([](State& state) { return !std::exchange(state.failed, true); });
    if (first) {
        log::error("VT-d: {} after {}: fault status {:#x}; the unit is given up", what, invalidation_deadline,
                   registers_.read(Registers::fault_status));
    }
}

Result<> InvalidationQueue::run(std::span<const spec::Descriptor> descriptors) {
    if (descriptors.size() > batch_max) {
        return fail(Error::invalid_argument);
    }
    const Deadline deadline = Deadline::after(invalidation_deadline);
    const auto sequence = state_.with([&](State& state) -> Result<std::uint32_t> {
        if (state.failed) {
            return fail(Error::device_failed);
        }
        PV_TRY(make_room(state, descriptors.size() + 1, deadline));
        for (const spec::Descriptor& descriptor : descriptors) {
            put(state, descriptor);
        }
        put(state, spec::wait(status_.address(), ++state.sequence));
        std::atomic_thread_fence(std::memory_order_release);
        registers_.write(Registers::queue_tail, std::uint64_t{state.tail} << index_shift);
        return state.sequence;
    });
    if (!sequence) {
        if (sequence.error() == Error::timed_out) {
            give_up("the invalidation queue is still full");
        }
        return fail(sequence.error());
    }
    const Result<> done = wait(*sequence, deadline);
    if (!done) {
        give_up("an invalidation is not done");
    }
    return done;
}

}  // namespace pv::iommu
