// What programs read of the kernel's clock without a call: one page, written by the kernel, read by the vdso.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <optional>

#include "base/atomic.hpp"
#include "base/clock_scale.hpp"
#include "base/wall_time.hpp"

namespace pv::vdso {

/// What clock_getres(2) tells of each clock that counts nanoseconds by the counter.
inline constexpr std::int64_t resolution_ns = 1;

/// What a clock of clock_gettime(2) counts.
enum class ClockKind : std::uint8_t {
    since_boot,
    wall,
    other,  ///< only the kernel can tell, if it is a clock at all
};

/// `clock`: a clockid_t.
[[nodiscard]] constexpr ClockKind kind_of(int clock) {
    switch (clock) {
        case 0:   // CLOCK_REALTIME
        case 5:   // CLOCK_REALTIME_COARSE
        case 11:  // CLOCK_TAI: no leap seconds are known
            return ClockKind::wall;
        case 1:  // CLOCK_MONOTONIC
        case 4:  // CLOCK_MONOTONIC_RAW: the counter is never slewed
        case 6:  // CLOCK_MONOTONIC_COARSE: as cheap as it gets
        case 7:  // CLOCK_BOOTTIME: the machine never sleeps
            return ClockKind::since_boot;
        default:
            return ClockKind::other;
    }
}

/// The page's first bytes; the rest is zero. Says nothing but what clock_gettime(2) tells anybody. Kernel and
/// vdso come from one build: the layout is no contract.
struct ClockPage {
    Atomic<std::uint32_t> sequence{0};   ///< odd while it is written
    Atomic<std::uint32_t> is_usable{0};  ///< 0: the kernel must be asked, as where counters differ
    Atomic<std::uint64_t> origin{0};     ///< ClockScale
    Atomic<std::uint64_t> multiplier{0};
    Atomic<std::int64_t> wall_offset{0};  ///< nanoseconds to add for the time since 1970

    static_assert(Atomic<std::uint64_t>::is_always_lock_free);
};

/// Lets `change()` write into the page. One writer at a time, who is not held up in between: readers ask the
/// kernel meanwhile. What it stores it stores with memory_order_release: never before the sequence is odd.
template <class F>
void rewrite(ClockPage& page, F&& change) {
    const std::uint32_t before = page.sequence.load(std::memory_order_relaxed);
    page.sequence.store(before + 1, std::memory_order_relaxed);
    change();
    page.sequence.store(before + 2, std::memory_order_release);
}

/// Nanoseconds of the clock at this moment. `counter()`: the processor's, read not before what stands before
/// it. Nothing: the kernel is to be asked. Bounded: never waits for a writer.
template <class Counter>
[[nodiscard]] std::optional<std::int64_t> read(const ClockPage& page, ClockKind kind, Counter&& counter) {
    constexpr int tries = 4;
    constexpr auto acquire = std::memory_order_acquire;  // each load before those that follow
    for (int i = 0; i < tries && kind != ClockKind::other; ++i) {
        const std::uint32_t before = page.sequence.load(acquire);
        if (before % 2 != 0 || page.is_usable.load(acquire) == 0) {
            break;
        }
        const ClockScale scale{page.origin.load(acquire), page.multiplier.load(acquire)};
        const std::int64_t offset = kind == ClockKind::wall ? page.wall_offset.load(acquire) : 0;
        const std::uint64_t reading = counter();
        if (page.sequence.load(std::memory_order_relaxed) == before) {
            return static_cast<std::int64_t>(scale.nanoseconds(reading)) + offset;
        }
    }
    return std::nullopt;
}

}  // namespace pv::vdso
