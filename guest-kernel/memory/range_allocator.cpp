// Ranges of kernel address space, given out and taken back.
// SPDX-License-Identifier: MIT
#include "memory/range_allocator.hpp"

#include <algorithm>

namespace pv::memory {

Result<std::uint64_t> RangeAllocator::allocate(std::uint64_t size) {
    if (size == 0) {
        return fail(Error::invalid_argument);
    }
    // Each range given out may come back as an entry of its own.
    PV_TRY(free_.reserve(free_.size() + given_out_ + 1));
    for (std::size_t i = 0; i < free_.size(); ++i) {
        Range& range = free_[i];
        if (range.size() < size) {
            continue;
        }
        const std::uint64_t begin = range.begin;
        range.begin += size;
        if (range.size() == 0) {
            std::move(free_.begin() + i + 1, free_.end(), free_.begin() + i);
            free_.pop_back();
        }
        in_use_ += size;
        ++given_out_;
        return begin;
    }
    if (end_ - next_ < size) {
        return fail(Error::out_of_memory);
    }
    const std::uint64_t begin = next_;
    next_ += size;
    in_use_ += size;
    ++given_out_;
    return begin;
}

void RangeAllocator::free(std::uint64_t begin, std::uint64_t size) {
    in_use_ -= size;
    --given_out_;
    const Range range{begin, begin + size};
    auto* after = std::lower_bound(free_.begin(), free_.end(), range,
                                   [](const Range& a, const Range& b) { return a.begin < b.begin; });
    const bool joins_after = after != free_.end() && after->begin == range.end;
    const bool joins_before = after != free_.begin() && (after - 1)->end == range.begin;
    if (joins_before && joins_after) {
        (after - 1)->end = after->end;
        std::move(after + 1, free_.end(), after);
        free_.pop_back();
    } else if (joins_before) {
        (after - 1)->end = range.end;
    } else if (joins_after) {
        after->begin = range.begin;
    } else {
        const auto at = after - free_.begin();
        const Result<> pushed = free_.push_back(range);
        PV_ASSERT(pushed.has_value());
        std::rotate(free_.begin() + at, free_.end() - 1, free_.end());
    }
    // What lies at the end is as good as never given out: all of it can be had as one again.
    if (Range& last = free_[free_.size() - 1]; last.end == next_) {
        next_ = last.begin;
        free_.pop_back();
    }
}

}  // namespace pv::memory
