// Adding and discharging.
// SPDX-License-Identifier: MIT
#include "translation/obligations.hpp"

#include <algorithm>
#include <utility>

namespace pv::translation {
namespace {

bool is_same(const Obligation& a, const Obligation& b) {
    return a.first == b.first && a.last == b.last && a.structure == b.structure && a.root == b.root &&
           a.pcid == b.pcid && a.old == b.old;
}

bool reaches(Spaces spaces, std::uint16_t pcid, std::uint16_t current, std::uint16_t named) {
    switch (spaces) {
        case Spaces::none:
            return false;
        case Spaces::current:
            return pcid == current;
        case Spaces::named:
            return pcid == named;
        case Spaces::all:
            return true;
    }
    return false;
}

bool is_discharged(const Obligation& obligation, const Effect& effect, std::uint64_t linear,
                   std::uint16_t current, std::uint16_t named) {
    if (obligation.structure) {
        return reaches(effect.structures, obligation.pcid, current, named) &&
               (!effect.one_way || obligation.covers(linear));
    }
    if (effect.one_page && (obligation.coarse || !obligation.covers(linear))) {
        return false;
    }
    return obligation.global ? effect.globals : reaches(effect.pages, obligation.pcid, current, named);
}

}  // namespace

bool Obligations::add(const Obligation& obligation) {
    const bool is_one_page = obligation.last - obligation.first == page_size - 1 && !obligation.structure;
    if (is_one_page) {
        const auto [begin, end] = pages_.equal_range(obligation.first >> 12);
        const auto same =
            std::find_if(begin, end, [&](const auto& at) { return is_same(at.second, obligation); });
        if (same != end) {
            same->second = obligation;
            return true;
        }
    } else if (const auto same =
                   std::ranges::find_if(wide_, [&](const auto& at) { return is_same(at, obligation); });
               same != wide_.end()) {
        *same = obligation;
        return true;
    }
    if (size() >= most) {
        return false;
    }
    if (is_one_page) {
        pages_.emplace(obligation.first >> 12, obligation);
        count_in(obligation);
    } else {
        wide_.push_back(obligation);
        count_wide();
    }
    return true;
}

void Obligations::discharge(const Effect& effect, std::uint64_t linear, std::uint16_t current,
                            std::uint16_t named) {
    if (size() == 0) {
        return;
    }
    const auto end_if_done = [&](auto at) {
        if (!is_discharged(at->second, effect, linear, current, named)) {
            return std::next(at);
        }
        count_out(at->second);
        return pages_.erase(at);
    };
    if (effect.one_page) {
        const auto [begin, end] = pages_.equal_range(linear >> 12);
        for (auto at = begin; at != end;) {
            at = end_if_done(at);
        }
    } else {
        for (auto at = pages_.begin(); at != pages_.end();) {
            at = end_if_done(at);
        }
    }
    std::erase_if(wide_, [&](const Obligation& obligation) {
        return is_discharged(obligation, effect, linear, current, named);
    });
    count_wide();
}

void Obligations::keep_globals(std::uint64_t pc) {
    for_each([&](Obligation& obligation) {
        if (obligation.global) {
            obligation.kept_pc = pc;
        }
    });
}

void Obligations::count_in(const Obligation& obligation) {
    user_pages_.fetch_add(obligation.old.rights.user ? 1 : 0, std::memory_order_relaxed);
    const std::size_t bit = PageFilter::bit(obligation.first);
    if (sharing_[bit]++ == 0) {
        filter_.set(bit);
    }
}

void Obligations::count_out(const Obligation& obligation) {
    user_pages_.fetch_sub(obligation.old.rights.user ? 1 : 0, std::memory_order_relaxed);
    const std::size_t bit = PageFilter::bit(obligation.first);
    if (--sharing_[bit] == 0 && wide_count_ == 0) {
        filter_.clear(bit);
    }
}

void Obligations::count_wide() {
    const auto count = std::ranges::count_if(
        wide_, [](const Obligation& obligation) { return !obligation.structure && !obligation.coarse; });
    const std::size_t before = std::exchange(wide_count_, static_cast<std::size_t>(count));
    for (std::size_t bit = 0; (before == 0) != (wide_count_ == 0) && bit < PageFilter::bits; ++bit) {
        if (wide_count_ != 0) {
            filter_.set(bit);
        } else if (sharing_[bit] == 0) {
            filter_.clear(bit);
        }
    }
    const auto user =
        std::ranges::count_if(wide_, [](const Obligation& obligation) { return obligation.old.rights.user; });
    user_wide_.store(static_cast<std::size_t>(user), std::memory_order_relaxed);
}

}  // namespace pv::translation
