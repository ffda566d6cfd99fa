// Frames given back are looked up, shootdowns gone through: there are few, and few obligations to ask about.
// SPDX-License-Identifier: MIT
#include "translation/promises.hpp"

#include <algorithm>
#include <iterator>

namespace pv::translation {

bool Promises::release(std::uint64_t physical, const Promise& promise) {
    ++releases_;
    if (frames_.size() >= most_frames && !frames_.contains(physical)) {
        return false;
    }
    frames_.insert_or_assign(physical, promise);
    return true;
}

void Promises::shootdown(const Promise& promise, const Range& range) {
    if (shootdowns_.size() >= most_shootdowns) {
        shootdowns_.pop_front();
    }
    shootdowns_.push_back({promise, range});
}

void Promises::forget_frames_but(std::vector<std::pair<std::uint64_t, std::uint64_t>> reached) {
    releases_ = 0;
    std::ranges::sort(reached);
    std::vector<std::pair<std::uint64_t, std::uint64_t>> apart;  // none overlaps another
    for (const auto& [first, last] : reached) {
        if (apart.empty() || first > apart.back().second) {
            apart.emplace_back(first, last);
        } else {
            apart.back().second = std::max(apart.back().second, last);
        }
    }
    std::erase_if(frames_, [&](const auto& one) {
        const auto after =
            std::ranges::upper_bound(apart, one.first, {}, &decltype(apart)::value_type::first);
        return after == apart.begin() || std::prev(after)->second < one.first;
    });
}

bool Promises::Shootdown::concerns(const Obligation& obligation, std::uint64_t linear,
                                   std::uint64_t since) const {
    if (obligation.change.number > promise.changes) {
        return false;
    }
    if (range.root == 0) {
        return since < promise.changes && !obligation.structure && linear - range.address < range.length;
    }
    return range.root == obligation.root &&
           (obligation.structure ? obligation.overlaps(range.address, range.length)
                                 : linear - range.address < range.length);
}

const Promise* Promises::find(const Obligation& obligation, std::uint64_t linear, std::uint64_t since) const {
    if (obligation.coarse) {
        return nullptr;  // stands for pages that are not known one by one
    }
    const auto over = std::ranges::find_if(
        shootdowns_, [&](const Shootdown& one) { return one.concerns(obligation, linear, since); });
    if (over != shootdowns_.end()) {
        return &over->promise;
    }
    const std::uint64_t offset = obligation.structure ? 0 : (linear - obligation.first) & ~(page_size - 1);
    const auto frame = frames_.find(obligation.old.physical + offset);
    const bool is_released = frame != frames_.end() && obligation.change.number <= frame->second.changes;
    return is_released ? &frame->second : nullptr;
}

const Promise* Promises::find_any(const Obligation& obligation, std::uint64_t& linear,
                                  std::uint64_t since) const {
    if (obligation.structure || obligation.old.level > 2) {
        linear = obligation.first;
        return obligation.structure ? find(obligation, linear, since) : nullptr;
    }
    for (linear = obligation.first; obligation.covers(linear); linear += page_size) {
        if (const Promise* promise = find(obligation, linear, since)) {
            return promise;
        }
    }
    return nullptr;
}

}  // namespace pv::translation
