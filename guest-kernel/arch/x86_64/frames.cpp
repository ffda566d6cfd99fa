// Page frames through the stock of each CPU.
// SPDX-License-Identifier: MIT
#include "memory/frames.hpp"

#include <algorithm>

#include "arch/processor.hpp"
#include "arch/x86_64/cpu.hpp"
#include "base/panic.hpp"
#include "boot/memory.hpp"
#include "memory/frame_stock.hpp"
#include "memory/refusal.hpp"

namespace pv::memory {
namespace {

constexpr std::uint32_t half = FrameStock::capacity / 2;

// Frames leave a stock only this way; the books must agree.
PhysicalAddress take_last(FrameStock& stock) {
    const PhysicalAddress frame = stock.frames[--stock.count];
    if (!boot::unmark_in_stock(frame)) {
        panic("frame {} lies in a CPU's stock, and the books do not say so", frame);
    }
    return frame;
}

void put(FrameStock& stock, PhysicalAddress frame) {
    if (!boot::mark_in_stock(frame)) {
        panic("free of frames {} (order 0), which were not given out", frame);
    }
    stock.frames[stock.count++] = frame;
}

// Moves all but `keep` frames to the common allocator.
void shrink(FrameStock& stock, std::uint32_t keep) {
    std::array<PhysicalAddress, FrameStock::capacity> out;
    std::size_t count = 0;
    while (stock.count > keep) {
        out[count++] = take_last(stock);
    }
    boot::free_common(std::span(out).first(count));
}

// What lies in all CPUs' stocks, back to where larger blocks are made of it. True when there was something.
bool gather() {
    bool any = false;
    for (unsigned i = 0; i < arch::cpu_count(); ++i) {
        FrameStock& stock = arch::cpu(i).frame_stock;
        const task::SpinGuard guard(stock.lock);
        any = any || stock.count > 0;
        shrink(stock, 0);
    }
    return any;
}

}  // namespace

Result<PhysicalAddress> allocate_frames(unsigned order) {
    if (order > order_max) {
        return fail(Error::invalid_argument);
    }
    if (is_refused()) [[unlikely]] {
        return fail(Error::out_of_memory);
    }
    if (order == 0) {
        const arch::InterruptsOff off;
        FrameStock& stock = arch::this_cpu().frame_stock;
        const task::SpinGuard guard(stock.lock);
        if (stock.count == 0) {
            std::array<PhysicalAddress, half> fresh;
            const std::size_t count = boot::allocate_common(fresh);
            ++stock.refills;
            // The lowest last, so that it is given out first.
            for (std::size_t i = count; i-- > 0;) {
                put(stock, fresh[i]);
            }
        }
        if (stock.count > 0) {
            return take_last(stock);
        }
    } else if (const auto block = boot::allocate_common(order)) {
        return *block;
    }
    if (!gather()) {
        return fail(Error::out_of_memory);
    }
    return boot::allocate_common(order);
}

bool is_low() {
    return boot::is_memory_low();
}

bool is_scarce() {
    return boot::is_memory_scarce();
}

Result<PhysicalAddress> allocate_program_frame() {
    if (is_scarce()) {
        return fail(Error::out_of_memory);
    }
    return allocate_frames(0);
}

Result<PhysicalAddress> allocate_program_block(unsigned order, bool wanted) {
    const auto is_left_enough = [&] { return wanted ? !boot::is_memory_low() : boot::is_memory_plentiful(); };
    if (is_refused() || !is_left_enough()) {
        return fail(Error::out_of_memory);
    }
    const PhysicalAddress block = PV_TRY(boot::allocate_common(order));
    if (!is_left_enough()) {
        boot::free_common(block, order);
        return fail(Error::out_of_memory);
    }
    return block;
}

void split_frames(PhysicalAddress address, unsigned order) {
    boot::split_common(address, order);
}

void free_frames(PhysicalAddress address, unsigned order) {
    if (order > 0) {
        boot::free_common(address, order);
        return;
    }
    const arch::InterruptsOff off;
    FrameStock& stock = arch::this_cpu().frame_stock;
    const task::SpinGuard guard(stock.lock);
    if (stock.count == FrameStock::capacity) {
        ++stock.refills;
        shrink(stock, half);
    }
    put(stock, address);
}

FrameStatistics frame_statistics() {
    FrameStatistics total = boot::common_statistics();
    for (unsigned i = 0; i < arch::cpu_count(); ++i) {
        FrameStock& stock = arch::cpu(i).frame_stock;
        const task::SpinGuard guard(stock.lock);
        total.free += stock.count;
        total.refills += stock.refills;
    }
    return total;
}

}  // namespace pv::memory
