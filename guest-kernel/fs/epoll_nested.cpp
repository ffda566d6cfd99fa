// Epoll instances that watch epoll instances: how deep they may be, and how readiness goes up.
// SPDX-License-Identifier: MIT
#include <array>

#include "base/atomic.hpp"
#include "fs/epoll.hpp"
#include "task/thread.hpp"

namespace pv::fs {
namespace {

using namespace literals;

/// As Linux's EP_MAX_NESTS.
constexpr unsigned nests_max = 4;

/// Held while one instance is put into another one, so that no two make a circle. Its value: whether the
/// thread that carries readiness up has been made.
constinit task::SleepGuarded<bool, task::Rank::file> carrier{false};
constinit task::WaitQueue carrier_queue;
constinit Atomic<bool> is_told{false};
constinit Atomic<std::uint64_t> rounds{0};

std::uint64_t next_round() {
    return rounds.fetch_add(1, std::memory_order_relaxed) + 1;
}

}  // namespace

template <class F>
bool Epoll::for_nested(F&& visit) {
    if (nested_.load(std::memory_order_relaxed) == 0) {
        return true;
    }
    std::array<Epoll*, 32> found{};
    std::size_t count = found.size();
    Key from{};
    // Fewer than there is room for: these were the last.
    while (count == found.size()) {
        count = 0;
        {
            const task::SpinGuard guard(lock_);
            auto item = items_.lower_bound(from);
            for (; item != items_.end() && count < found.size(); ++item) {
                if (item->is_nested) {
                    found[count++] = static_cast<Epoll*>(item->file);
                    from = Key{item->key.file, item->key.descriptor + 1};
                }
            }
        }
        // They are there as long as the list's lock is held.
        for (Epoll* const one : std::span(found).first(count)) {
            if (!visit(*one)) {
                return false;
            }
        }
    }
    return true;
}

// Nobody is visited twice in a round: who was found to be in order is, and a way that leads there over more
// levels is refused when it is made.
bool Epoll::may_be_below(const Epoll& outer, unsigned depth, std::uint64_t round) {
    if (this == &outer || depth > nests_max) {
        return false;
    }
    if (visited_ == round + depth) {
        return true;
    }
    visited_ = round + depth;
    return for_nested([&](Epoll& inner) { return inner.may_be_below(outer, depth + 1, round); });
}

void Epoll::refresh_below(unsigned depth, std::uint64_t round) {
    if (visited_ == round || depth > nests_max) {
        return;
    }
    visited_ = round;
    for_nested([&](Epoll& inner) {
        inner.refresh_below(depth + 1, round);
        return true;
    });
    const task::SpinGuard guard(lock_);
    for (auto item = ready_.begin(); item != ready_.end();) {
        if ((item->file->poll(nullptr) & (item->event.events | poll_event::always)) != 0) {
            ++item;
            continue;
        }
        item->is_ready = false;
        item = ready_.erase(item);
    }
    ready_count_.store(ready_.size(), std::memory_order_release);
}

void Epoll::refresh() {
    instances.with([&](Epoll*&) { refresh_below(0, next_round()); });
}

Outcome<> Epoll::add_nested(Epoll& inner, int descriptor, const EpollEvent& event) {
    std::unique_ptr<Item> item = PV_TRY(new_item(inner, descriptor, event));
    item->is_nested = true;
    const auto added = carrier.with(Deadline::after(10_s), [&](bool& has_thread) -> Outcome<> {
        if (!has_thread && !task::Thread::create("epoll", serve_nested, nullptr)) {
            return fail(Errno::enomem);
        }
        has_thread = true;
        // A round for each level: an instance may be reached over several ways.
        const std::uint64_t round = rounds.fetch_add(nests_max + 2, std::memory_order_relaxed) + 1;
        if (!instances.with([&](Epoll*&) { return inner.may_be_below(*this, 0, round); })) {
            return fail(Errno::eloop);
        }
        inner.in_epoll_.store(true, std::memory_order_release);
        return insert(*item);
    });
    if (!added || !*added) {
        return added ? *added : fail(Errno::enomem);
    }
    (void)item.release();
    return {};
}

void Epoll::carry_up_soon() {
    told_.store(true, std::memory_order_release);
    is_told.store(true, std::memory_order_release);
    carrier_queue.wake_all();
}

void Epoll::carry_up() {
    instances.with([](Epoll*& first) {
        for (Epoll* inner = first; inner != nullptr; inner = inner->next_) {
            if (!inner->told_.exchange(false, std::memory_order_acq_rel)) {
                continue;
            }
            for (Epoll* outer = first; outer != nullptr; outer = outer->next_) {
                if (outer->nested_.load(std::memory_order_relaxed) == 0) {
                    continue;
                }
                bool any = false;
                {
                    const task::SpinGuard guard(outer->lock_);
                    for (auto item = outer->items_.lower_bound(Key{inner, -1});
                         item != outer->items_.end() && item->file == inner; ++item) {
                        if ((item->event.events & poll_event::readable) != 0) {
                            outer->make_ready(*item);
                            any = true;
                        }
                    }
                }
                if (any) {
                    outer->tell();
                }
            }
        }
    });
}

void Epoll::serve_nested(void*) {
    while (true) {
        static_cast<void>(
            carrier_queue.wait(Deadline::never("no instance that another one watches was told"),
                               [] { return is_told.exchange(false, std::memory_order_acq_rel); }));
        carry_up();
    }
}

}  // namespace pv::fs
