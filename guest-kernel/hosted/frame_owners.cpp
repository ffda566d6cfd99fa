// Frames with several owners, on a host: counts in a map.
// SPDX-License-Identifier: MIT
#include "memory/frame_owners.hpp"

#include <map>
#include <mutex>

#include "memory/frames.hpp"

namespace pv::memory {
namespace {

std::mutex owners_lock;

std::map<std::uint64_t, std::uint32_t>& further_owners() {
    static std::map<std::uint64_t, std::uint32_t> counts;
    return counts;
}

}  // namespace

void add_owner(PhysicalAddress frame) {
    const std::scoped_lock guard(owners_lock);
    ++further_owners()[frame.value()];
}

void drop_owner(PhysicalAddress frame) {
    {
        const std::scoped_lock guard(owners_lock);
        const auto found = further_owners().find(frame.value());
        if (found != further_owners().end()) {
            if (--found->second == 0) {
                further_owners().erase(found);
            }
            return;
        }
    }
    free_frames(frame, 0);
}

std::uint32_t owners(PhysicalAddress frame) {
    const std::scoped_lock guard(owners_lock);
    const auto found = further_owners().find(frame.value());
    return found == further_owners().end() ? 1 : found->second + 1;
}

}  // namespace pv::memory
