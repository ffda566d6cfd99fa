// Futexes: queues of sleepers, found by where their word lies.
// SPDX-License-Identifier: MIT
#include "task/process_futex.hpp"

#include <linux/futex.h>

#include <array>
#include <boost/intrusive/list.hpp>

#include "base/atomic.hpp"
#include "fs/message_trace.hpp"
#include "memory/address_space.hpp"
#include "task/control_block.hpp"
#include "task/park.hpp"

namespace pv::task {
namespace {

/// Where a word lies: in a space, or, shared, in a frame.
struct Key {
    std::uint64_t space = 0;
    std::uint64_t address = 0;

    friend bool operator==(const Key&, const Key&) = default;
};

using AutoUnlink =
    boost::intrusive::list_base_hook<boost::intrusive::link_mode<boost::intrusive::auto_unlink>>;

/// One sleeping thread, on its own stack; guarded by its group's lock.
struct Sleeper : AutoUnlink {
    Key key;
    std::uint32_t bits = 0;
    ControlBlock* thread = nullptr;
    Atomic<bool> is_woken{false};
};

/// All futexes of one address space are of one group, so that sleepers move among them under one lock.
struct Group {
    using Sleepers = boost::intrusive::list<Sleeper, boost::intrusive::constant_time_size<false>>;

    Sleepers& of(const Key& key) { return *lists[(key.address >> 2 ^ key.address >> 8) % lists.size()]; }

    SpinLock lock{Rank::queue};
    std::array<OnFirstUse<Sleepers>, 16> lists;
};

constinit std::array<Group, 64> groups;

Group& group_of(const Key& key) {
    return groups[key.space * 0x9e37'79b9'7f4a'7c15 >> 58];
}

Outcome<Key> key_of(UserThread& self, UserAddress at, bool shared) {
    if (!at.is_aligned(4)) {
        return fail(Errno::einval);
    }
    if (at >= arch::user_end) {
        return fail(Errno::efault);
    }
    memory::AddressSpace& space = *self.process().space;
    if (!shared) {
        return Key{reinterpret_cast<std::uintptr_t>(&space), at.value()};
    }
    const auto place = PV_TRY(space.locate(at));
    return Key{place.space, place.address};
}

// Reads the word with a lock held: nothing is brought in meanwhile.
bool peek(UserAddress at, std::uint32_t& value) {
    return arch::load_user(at, value);
}

Outcome<> touch(UserAddress at) {
    std::uint32_t value = 0;
    if (!arch::load_user(at, value)) {
        return fail(Errno::efault);
    }
    return {};
}

void wake(Sleeper& sleeper) {
    sleeper.unlink();
    ControlBlock& thread = *sleeper.thread;
    // Under the group's lock, which the sleeper takes before it leaves its stack frame.
    sleeper.is_woken.store(true, std::memory_order_release);
    unpark(thread);
}

// With the group's lock, so that it comes before what the woken ones say.
void trace_woken(const UserThread& self, UserAddress at, std::uint64_t count) {
    if (count != 0 && fs::is_tracing_messages()) {
        fs::trace_message({.channel = fs::Channel::futex,
                           .process = self.process().id,
                           .object = at.value(),
                           .amount = count});
    }
}

}  // namespace

Outcome<> futex_wait(UserThread& self, UserAddress at, bool shared, std::uint32_t expected,
                     std::uint32_t bits, Deadline deadline) {
    if (bits == 0 || !at.is_aligned(sizeof expected)) {
        return fail(Errno::einval);
    }
    Sleeper sleeper;
    sleeper.bits = bits;
    sleeper.thread = &current();
    Group* group = nullptr;
    while (true) {
        PV_TRY(touch(at));
        sleeper.key = PV_TRY(key_of(self, at, shared));
        group = &group_of(sleeper.key);
        const SpinGuard guard(group->lock);
        std::uint32_t value = 0;
        if (!peek(at, value)) {
            continue;  // it went away since it was touched
        }
        if (value != expected) {
            return fail(Errno::eagain);
        }
        group->of(sleeper.key).push_back(sleeper);
        break;
    }
    const auto woken = [&] { return sleeper.is_woken.load(std::memory_order_acquire); };
    while (!woken() && !is_interrupted() && !deadline.expired()) {
        park(deadline);
    }
    {
        const SpinGuard guard(group->lock);
        if (sleeper.is_linked()) {
            sleeper.unlink();
        }
    }
    if (woken()) {
        if (fs::is_tracing_messages()) {
            fs::trace_message({.channel = fs::Channel::futex,
                               .is_received = true,
                               .process = self.process().id,
                               .object = at.value(),
                               .amount = 1});
        }
        return {};
    }
    return fail(is_interrupted() ? Errno::eintr : Errno::etimedout);
}

Outcome<std::uint64_t> futex_wake(UserThread& self, UserAddress at, bool shared, std::uint32_t count,
                                  std::uint32_t bits) {
    if (bits == 0) {
        return fail(Errno::einval);
    }
    const Key key = PV_TRY(key_of(self, at, shared));
    Group& group = group_of(key);
    const SpinGuard guard(group.lock);
    std::uint64_t woken = 0;
    Group::Sleepers& sleepers = group.of(key);
    for (auto it = sleepers.begin(); it != sleepers.end() && woken < count;) {
        Sleeper& sleeper = *it++;
        if (sleeper.key == key && (sleeper.bits & bits) != 0) {
            wake(sleeper);
            ++woken;
        }
    }
    trace_woken(self, at, woken);
    return woken;
}

Outcome<std::uint64_t> futex_requeue(UserThread& self, UserAddress at, UserAddress to, bool shared,
                                     std::uint32_t wake_count, std::uint32_t move,
                                     const std::uint32_t* expected) {
    const Key from_key = PV_TRY(key_of(self, at, shared));
    const Key to_key = PV_TRY(key_of(self, to, shared));
    if (from_key.space != to_key.space) {
        return fail(Errno::einval);  // from private to shared memory: nobody's lock is in both
    }
    Group& group = group_of(from_key);
    while (true) {
        if (expected != nullptr) {
            PV_TRY(touch(at));
        }
        const SpinGuard guard(group.lock);
        std::uint32_t value = 0;
        if (expected != nullptr && !peek(at, value)) {
            continue;
        }
        if (expected != nullptr && value != *expected) {
            return fail(Errno::eagain);
        }
        std::uint64_t woken = 0;
        std::uint64_t moved = 0;
        Group::Sleepers& sleepers = group.of(from_key);
        for (auto it = sleepers.begin(); it != sleepers.end();) {
            Sleeper& sleeper = *it++;
            if (sleeper.key == from_key && woken < wake_count) {
                wake(sleeper);
                ++woken;
            } else if (sleeper.key == from_key && moved < move) {
                ++moved;
                sleeper.key = to_key;
                sleeper.unlink();
                group.of(to_key).push_back(sleeper);
            }
        }
        trace_woken(self, at, woken);
        return woken + moved;
    }
}

void clear_and_wake(UserThread& self, UserAddress at) {
    constexpr std::uint32_t none = 0;
    if (at >= arch::user_end || arch::user_end - at < sizeof none ||
        arch::copy_to_user(at, &none, sizeof none) != 0) {
        return;
    }
    static_cast<void>(futex_wake(self, at, false, 1, any_bit));
    static_cast<void>(futex_wake(self, at, true, 1, any_bit));
}

namespace {

bool read_word(std::uint64_t at, std::uint64_t& value) {
    return at < arch::user_end.value() - sizeof value &&
           arch::copy_from_user(&value, UserAddress(at), sizeof value) == 0;
}

// One lock whose owner has gone: marked, and one who waits for it is woken.
void give_up_lock(UserThread& self, std::uint64_t at) {
    const UserAddress word(at);
    std::uint32_t value = 0;
    if (at % sizeof value != 0 || at >= arch::user_end.value() - sizeof value ||
        !arch::load_user(word, value)) {
        return;
    }
    while ((value & FUTEX_TID_MASK) == static_cast<std::uint32_t>(self.id)) {
        const std::uint32_t before = value;
        if (!arch::compare_exchange_user(word, value, (before & FUTEX_WAITERS) | FUTEX_OWNER_DIED)) {
            return;
        }
        if (value == before) {
            if ((before & FUTEX_WAITERS) != 0) {
                static_cast<void>(futex_wake(self, word, true, 1, any_bit));
                static_cast<void>(futex_wake(self, word, false, 1, any_bit));
            }
            return;
        }
    }
}

}  // namespace

void leave_robust_futexes(UserThread& self) {
    // struct robust_list_head: the list's first entry, where a lock's word lies from its entry, the entry of
    // a lock just being taken or given back. Bit 0 of an entry means a lock with priority inheritance.
    constexpr std::size_t word = sizeof(std::uint64_t);
    const std::uint64_t head = std::exchange(self.robust_list, 0);
    std::uint64_t entry = 0;
    std::uint64_t offset = 0;
    std::uint64_t under_way = 0;
    if (head == 0 || !read_word(head, entry) || !read_word(head + word, offset) ||
        !read_word(head + 2 * word, under_way)) {
        return;
    }
    under_way &= ~std::uint64_t{1};
    for (unsigned i = 0; i < ROBUST_LIST_LIMIT && (entry & ~std::uint64_t{1}) != head; ++i) {
        const std::uint64_t at = entry & ~std::uint64_t{1};
        if (!read_word(at, entry)) {
            break;
        }
        if (at != under_way) {
            give_up_lock(self, at + offset);
        }
    }
    if (under_way != 0) {
        give_up_lock(self, under_way + offset);
    }
}

}  // namespace pv::task
