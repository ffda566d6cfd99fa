// Words in memory that a device changes or watches while the driver runs: the only places where order counts.
// SPDX-License-Identifier: MIT
#pragma once

#include <bit>
#include <cstdint>

#include "base/atomic.hpp"
#include "base/endian.hpp"

namespace pv::dma {

// The wire is little endian, and so is the only processor this kernel runs on.
static_assert(std::endian::native == std::endian::little);

/// Reads a word the device writes (2-byte aligned); what the device wrote before it is visible afterwards.
[[nodiscard]] inline std::uint16_t observe(const le16& word) {
    return AtomicRef{*reinterpret_cast<std::uint16_t*>(const_cast<le16*>(&word))}.load(
        std::memory_order_acquire);
}

/// Writes a word the device watches (2-byte aligned); all that was written before is visible to it first.
inline void publish(le16& word, std::uint16_t value) {
    AtomicRef{*reinterpret_cast<std::uint16_t*>(&word)}.store(value, std::memory_order_release);
}

/// What this processor has published can be seen by the device before anything is read that comes after this:
/// of two that each write one word and then look at the other's, one at least sees what the other wrote.
inline void publish_before_looking() {
    std::atomic_thread_fence(std::memory_order_seq_cst);
#if !PV_HOSTED
    // For this fence compilers take an instruction with a LOCK prefix. QEMU's translator orders nothing by it
    // when the machine has one processor, although its devices run beside it; MFENCE it does obey.
    asm volatile("mfence" ::: "memory");
#endif
}

/// As `observe`, behind `publish_before_looking`.
[[nodiscard]] inline std::uint16_t observe_after_publish(const le16& word) {
    publish_before_looking();
    return observe(word);
}

/// Whether an index that went from `before` to `after` went past `event`: who asked to be told at that index
/// is told (VIRTIO 1.2, 2.7.7.2).
[[nodiscard]] constexpr bool event_passed(std::uint16_t event, std::uint16_t before, std::uint16_t after) {
    return static_cast<std::uint16_t>(after - event - 1) < static_cast<std::uint16_t>(after - before);
}

}  // namespace pv::dma
