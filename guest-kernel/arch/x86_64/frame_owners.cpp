// Frames with several owners: the counts lie in the books of the frames' zone.
// SPDX-License-Identifier: MIT
#include "memory/frame_owners.hpp"

#include "base/atomic.hpp"
#include "base/marker.hpp"
#include "boot/memory.hpp"
#include "memory/frames.hpp"

namespace pv::memory {

void add_owner(PhysicalAddress frame) {
    boot::further_owners(frame).fetch_add(1, std::memory_order_relaxed);
}

void drop_owner(PhysicalAddress frame) {
    Atomic<std::uint32_t>& further = boot::further_owners(frame);
    std::uint32_t count = further.load(std::memory_order_acquire);
    while (count != 0) {
        if (further.compare_exchange_weak(count, count - 1, std::memory_order_acq_rel)) {
            return;
        }
    }
    // Translations of each of its owners may have led to it: all of them are forgotten by now.
    marker::frames_release(frame, page_size);
    free_frames(frame, 0);
}

std::uint32_t owners(PhysicalAddress frame) {
    return boot::further_owners(frame).load(std::memory_order_acquire) + 1;
}

}  // namespace pv::memory
