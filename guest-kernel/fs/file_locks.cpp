// Advisory locks: one list a bucket of files, one lock for all of them, and one queue of those who wait.
// SPDX-License-Identifier: MIT
#include "fs/file_locks.hpp"

#include <algorithm>
#include <array>
#include <boost/intrusive/list.hpp>
#include <memory>

#include "fs/node.hpp"
#include "fs/wait.hpp"
#include "task/on_first_use.hpp"
#include "task/spin_lock.hpp"

namespace pv::fs {
namespace {

using Hook = boost::intrusive::list_base_hook<boost::intrusive::link_mode<boost::intrusive::normal_link>>;

struct Lock : Hook {
    Node* node = nullptr;  ///< lives at least as long: its owner has it open
    LockKind kind = LockKind::range;
    LockOwner owner;
    LockRange range;
    bool is_exclusive = false;
};

/// One that waits, on its own stack, and for whom.
struct Waiting : Hook {
    const void* who = nullptr;
    const void* for_whom = nullptr;
};

using Locks = boost::intrusive::list<Lock, boost::intrusive::constant_time_size<false>>;
using Waiters = boost::intrusive::list<Waiting, boost::intrusive::constant_time_size<false>>;

constexpr std::size_t buckets = 64;

struct Books {
    std::array<Locks, buckets> locks;
    Waiters waiting;
    unsigned count = 0;

    Locks& of(const Node& node) { return locks[reinterpret_cast<std::uintptr_t>(&node) / 64 % buckets]; }
};

constinit task::SpinLock lock{task::Rank::leaf};
constinit task::OnFirstUse<Books> books;  // behind the lock
constinit task::WaitQueue released;

void free_all(Locks& locks) {
    locks.clear_and_dispose([](Lock* one) { delete one; });
}

bool overlap(const LockRange& a, const LockRange& b) {
    return a.begin <= b.last && b.begin <= a.last;
}

bool is_adjacent(const LockRange& a, const LockRange& b) {
    return (a.last != lock_end && a.last + 1 == b.begin) || (b.last != lock_end && b.last + 1 == a.begin);
}

/// What somebody wants; the same for all steps.
struct Request {
    Node& node;
    LockKind kind;
    const LockOwner& owner;
    LockRange range;
    LockWish wish;

    [[nodiscard]] bool concerns(const Lock& one) const { return one.node == &node && one.kind == kind; }

    [[nodiscard]] bool is_own(const Lock& one) const { return concerns(one) && one.owner.who == owner.who; }
};

// `lock` is held in all of these.

Lock* conflict(Books& all, const Request& request) {
    if (request.wish == LockWish::unlock) {
        return nullptr;
    }
    Lock* first = nullptr;
    for (Lock& one : all.of(request.node)) {
        if ((first == nullptr || one.range.begin < first->range.begin) && request.concerns(one) &&
            one.owner.who != request.owner.who && overlap(one.range, request.range) &&
            (one.is_exclusive || request.wish == LockWish::exclusive)) {
            first = &one;
        }
    }
    return first;
}

// Whether who holds it waits, through others perhaps, for the one that would wait for it now.
bool closes_circle(Books& all, const void* who, const void* holder) {
    for (std::size_t steps = all.waiting.size(); steps > 0; --steps) {
        const auto next =
            std::ranges::find_if(all.waiting, [&](const Waiting& w) { return w.who == holder; });
        if (next == all.waiting.end()) {
            return false;
        }
        if (next->for_whom == who) {
            return true;
        }
        holder = next->for_whom;
    }
    return false;
}

void remove(Books& all, Lock& one, Locks& garbage) {
    Locks& list = all.of(*one.node);
    list.erase(list.iterator_to(one));
    one.node->locks_here.fetch_sub(1, std::memory_order_relaxed);
    --all.count;
    garbage.push_back(one);
}

void insert(Books& all, Lock& one) {
    all.of(*one.node).push_back(one);
    one.node->locks_here.fetch_add(1, std::memory_order_relaxed);
    ++all.count;
}

/// Memory for what a change may need: the lock itself, and the rear part of one that it cuts in two.
struct Spare {
    std::unique_ptr<Lock> fresh{new (std::nothrow) Lock};
    std::unique_ptr<Lock> rear{new (std::nothrow) Lock};
};

// Makes `range` free of the owner's own locks, and joins the new lock with what is alike beside it.
void replace(Books& all, const Request& request, Spare& spare, Locks& garbage) {
    LockRange range = request.range;
    const bool is_exclusive = request.wish == LockWish::exclusive;
    Locks& list = all.of(request.node);
    for (auto at = list.begin(); at != list.end();) {
        Lock& own = *at++;
        if (!request.is_own(own)) {
            continue;
        }
        const bool is_alike = request.wish != LockWish::unlock && own.is_exclusive == is_exclusive;
        if (is_alike && (overlap(own.range, range) || is_adjacent(own.range, range))) {
            range = {std::min(range.begin, own.range.begin), std::max(range.last, own.range.last)};
            remove(all, own, garbage);
        } else if (!is_alike && overlap(own.range, request.range)) {
            const LockRange whole = own.range;
            const bool has_front = whole.begin < request.range.begin;
            const bool has_rear = whole.last > request.range.last;
            if (has_front && has_rear) {
                Lock& rear = *spare.rear.release();
                rear.node = own.node;
                rear.kind = own.kind;
                rear.owner = own.owner;
                rear.is_exclusive = own.is_exclusive;
                rear.range = {request.range.last + 1, whole.last};
                insert(all, rear);
            }
            if (has_front) {
                own.range.last = request.range.begin - 1;
            } else if (has_rear) {
                own.range.begin = request.range.last + 1;
            } else {
                remove(all, own, garbage);
            }
        }
    }
    if (request.wish != LockWish::unlock) {
        Lock& fresh = *spare.fresh.release();
        fresh.node = &request.node;
        fresh.kind = request.kind;
        fresh.owner = request.owner;
        fresh.range = range;
        fresh.is_exclusive = is_exclusive;
        insert(all, fresh);
    }
}

/// One try: nothing when somebody is in the way (`holder`).
std::optional<Outcome<>> try_once(const Request& request, Spare& spare, const void*& holder) {
    Locks garbage;
    {
        const task::SpinGuard guard(lock);
        Books& all = *books;
        if (const Lock* other = conflict(all, request)) {
            holder = other->owner.who;
            return std::nullopt;
        }
        if (request.wish != LockWish::unlock && all.count + 2 > locks_max) {
            return fail(Errno::enolck);
        }
        replace(all, request, spare, garbage);
    }
    free_all(garbage);
    // Others may have what this one gave up, or holds less strictly now.
    released.wake_all();
    return Outcome<>{};
}

}  // namespace

Outcome<> set_lock(Node& node, LockKind kind, const LockOwner& owner, LockRange range, LockWish wish,
                   bool wait) {
    const Request request{node, kind, owner, range, wish};
    Spare spare;
    if (spare.fresh == nullptr || spare.rear == nullptr) {
        return fail(Errno::enolck);
    }
    const void* holder = nullptr;
    std::optional<Outcome<>> done = try_once(request, spare, holder);
    if (done) {
        return *done;
    }
    if (!wait) {
        return fail(Errno::eagain);
    }
    Waiting self;
    self.who = owner.who;
    bool is_listed = false;
    // Whom it waits for may change while it does: each look is a new edge of the graph.
    const auto look = [&] {
        done = try_once(request, spare, holder);
        if (done || !owner.looks_for_circles) {
            return done.has_value();
        }
        const task::SpinGuard guard(lock);
        if (closes_circle(*books, owner.who, holder)) {
            done = fail(Errno::edeadlk);
            return true;
        }
        self.for_whom = holder;
        if (!is_listed) {
            books->waiting.push_back(self);
            is_listed = true;
        }
        return false;
    };
    const Outcome<> waited = fs::wait(released, look);
    if (is_listed) {
        const task::SpinGuard guard(lock);
        books->waiting.erase(books->waiting.iterator_to(self));
    }
    return done ? *done : waited;
}

std::optional<HeldLock> find_lock(Node& node, LockKind kind, const LockOwner& owner, LockRange range,
                                  LockWish wish) {
    const task::SpinGuard guard(lock);
    const Lock* other = conflict(*books, {node, kind, owner, range, wish});
    if (other == nullptr) {
        return std::nullopt;
    }
    return HeldLock{other->is_exclusive, other->range, other->owner.process};
}

void drop_locks(Node& node, const void* owner) {
    if (node.locks_here.load(std::memory_order_relaxed) == 0) {
        return;
    }
    Locks garbage;
    {
        const task::SpinGuard guard(lock);
        Books& all = *books;
        Locks& list = all.of(node);
        for (auto at = list.begin(); at != list.end();) {
            Lock& one = *at++;
            if (one.node == &node && one.owner.who == owner) {
                remove(all, one, garbage);
            }
        }
    }
    if (!garbage.empty()) {
        free_all(garbage);
        released.wake_all();
    }
}

void move_locks(const void* from, const void* to) {
    const task::SpinGuard guard(lock);
    if (books->count == 0) {
        return;
    }
    for (Locks& list : books->locks) {
        for (Lock& one : list) {
            one.owner.who = one.owner.who == from ? to : one.owner.who;
        }
    }
}

}  // namespace pv::fs
