// Frames given back are looked up, shootdowns gone through: there are few, and few obligations to ask about.
// SPDX-License-Identifier: MIT
#include "translation/promises.hpp"

#include <algorithm>

namespace pv::translation {

bool Promises::release(std::uint64_t physical, const Promise& promise) {
    if (frames_.size() >= most_frames && !frames_.contains(physical)) {
        return false;
    }
    frames_.insert_or_assign(physical, promise);
    return true;
}

void Promises::shootdown(const Promise& promise, std::uint64_t root, std::uint64_t address,
                         std::uint64_t length) {
    if (shootdowns_.size() >= most_shootdowns) {
        shootdowns_.pop_front();
    }
    shootdowns_.push_back({promise, root, address, length});
}

void Promises::forget_frames_before(std::uint64_t number) {
    std::erase_if(frames_, [number](const auto& one) { return one.second.changes < number; });
}

const Promise* Promises::find(const Obligation& obligation, std::uint64_t linear) const {
    if (obligation.coarse) {
        return nullptr;  // stands for pages that are not known one by one
    }
    const auto over = std::ranges::find_if(shootdowns_, [&](const Shootdown& one) {
        return obligation.change.number <= one.promise.changes && one.root == obligation.root &&
               (obligation.structure ? obligation.overlaps(one.address, one.length)
                                     : linear - one.address < one.length);
    });
    if (over != shootdowns_.end()) {
        return &over->promise;
    }
    const std::uint64_t offset = obligation.structure ? 0 : (linear - obligation.first) & ~(page_size - 1);
    const auto frame = frames_.find(obligation.old.physical + offset);
    const bool is_released = frame != frames_.end() && obligation.change.number <= frame->second.changes;
    return is_released ? &frame->second : nullptr;
}

const Promise* Promises::find_any(const Obligation& obligation, std::uint64_t& linear) const {
    if (obligation.structure || obligation.old.level > 2) {
        linear = obligation.first;
        return obligation.structure ? find(obligation, linear) : nullptr;
    }
    for (linear = obligation.first; obligation.covers(linear); linear += page_size) {
        if (const Promise* promise = find(obligation, linear)) {
            return promise;
        }
    }
    return nullptr;
}

}  // namespace pv::translation
