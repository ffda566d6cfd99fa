// epoll instances: entries, the list of what is ready, and files that go.
// SPDX-License-Identifier: MIT
#include "fs/epoll.hpp"

#include <algorithm>
#include <new>

#include "fs/wait.hpp"

namespace pv::fs {
namespace {

constexpr std::uint32_t may_be_exclusive = poll_event::readable | poll_event::writable | poll_event::always |
                                           epoll_flag::wake_up | epoll_flag::edge | epoll_flag::exclusive;

}  // namespace

constinit task::Guarded<Epoll*, task::Rank::epoll_list> Epoll::instances{nullptr};

void Epoll::Item::notify(std::uint32_t events) {
    {
        const task::SpinGuard guard(epoll->lock_);
        if (is_gone || (events & (event.events | poll_event::always)) == 0 ||
            (event.events & ~(epoll_flag::edge | epoll_flag::one_shot)) == 0) {
            return;
        }
        epoll->make_ready(*this);
    }
    epoll->tell();
}

Epoll::Epoll() : OpenFile({}, open_flag::read_write, Flow::event) {
    instances.with([&](Epoll*& first) {
        next_ = first;
        first = this;
    });
}

Epoll::~Epoll() {
    // With the list's lock held no file that is watched comes to its end.
    instances.with([&](Epoll*& first) {
        Epoll** link = &first;
        while (*link != this) {
            link = &(*link)->next_;
        }
        *link = next_;
        while (!items_.empty()) {
            Item* item = &*items_.begin();
            {
                const task::SpinGuard guard(lock_);
                take_out(*item);
            }
            PollQueue::remove(*item);
            delete item;
        }
    });
}

Outcome<Ref<Epoll>> Epoll::create() {
    auto epoll = Ref<Epoll>::adopt(new (std::nothrow) Epoll);
    if (!epoll) {
        return fail(Errno::enomem);
    }
    return epoll;
}

void Epoll::tell() {
    waiters_.wake_one();
    poll_queue_.notify(poll_event::readable);
    if (watchers_.load(std::memory_order_seq_cst) != 0) {
        carry_up_soon();
    }
}

void Epoll::make_ready(Item& item) {
    if (!item.is_ready) {
        item.is_ready = true;
        ready_.push_back(item);
        ready_count_.store(ready_.size(), std::memory_order_release);
    }
}

void Epoll::take_out(Item& item) {
    item.is_gone = true;
    if (item.is_nested) {
        nested_.fetch_sub(1, std::memory_order_relaxed);
        static_cast<Epoll&>(*item.file).watchers_.fetch_sub(1, std::memory_order_relaxed);
    }
    items_.erase(items_.iterator_to(item));
    if (item.is_ready) {
        item.is_ready = false;
        ready_.erase(ready_.iterator_to(item));
        ready_count_.store(ready_.size(), std::memory_order_release);
    }
}

Outcome<> Epoll::insert(Item& item) {
    bool is_ready = false;
    {
        const task::SpinGuard guard(lock_);
        if (!items_.insert(item).second) {
            return fail(Errno::eexist);
        }
        item.is_gone = false;
        if (item.is_nested) {
            nested_.fetch_add(1, std::memory_order_relaxed);
            static_cast<Epoll&>(*item.file).watchers_.fetch_add(1, std::memory_order_seq_cst);
        }
        // From here on another thread may remove it: it is not touched after the lock.
        if ((item.file->poll(nullptr) & (item.event.events | poll_event::always)) != 0) {
            make_ready(item);
        }
        is_ready = !ready_.empty();
    }
    if (is_ready) {
        tell();
    }
    return {};
}

Outcome<std::unique_ptr<Epoll::Item>> Epoll::new_item(OpenFile& file, int descriptor,
                                                      const EpollEvent& event) {
    std::unique_ptr<Item> item(new (std::nothrow) Item);
    if (item == nullptr) {
        return fail(Errno::enomem);
    }
    item->epoll = this;
    item->file = &file;
    item->key = {&file, descriptor};
    item->event = event;
    item->is_gone = true;
    return item;
}

Outcome<> Epoll::add(OpenFile& file, int descriptor, const EpollEvent& event) {
    const bool is_exclusive = (event.events & epoll_flag::exclusive) != 0;
    const bool is_nested = file.kind() == FileKind::epoll;
    if (&file == this || (is_exclusive && (is_nested || (event.events & ~may_be_exclusive) != 0))) {
        return fail(Errno::einval);
    }
    if (is_nested) {
        return add_nested(static_cast<Epoll&>(file), descriptor, event);
    }
    std::unique_ptr<Item> owner = PV_TRY(new_item(file, descriptor, event));
    Item& item = *owner;
    // Asked first: a file that cannot be watched gets no entry. Told meanwhile, it is on the ready list
    // without being an entry, so it counts as gone until it is one.
    (void)file.poll(&item);
    if (!item.is_watching()) {
        return fail(Errno::eperm);
    }
    file.in_epoll_.store(true, std::memory_order_release);
    if (const Outcome<> inserted = insert(item); !inserted) {
        PollQueue::remove(item);
        return inserted;
    }
    (void)owner.release();
    return {};
}

Outcome<> Epoll::modify(OpenFile& file, int descriptor, const EpollEvent& event) {
    {
        const task::SpinGuard guard(lock_);
        const auto found = items_.find(Key{&file, descriptor});
        if (found == items_.end()) {
            return fail(Errno::enoent);
        }
        if (((event.events | found->event.events) & epoll_flag::exclusive) != 0) {
            return fail(Errno::einval);
        }
        found->event = event;
        if ((file.poll(nullptr) & (event.events | poll_event::always)) == 0) {
            return {};
        }
        make_ready(*found);
    }
    tell();
    return {};
}

Outcome<> Epoll::remove(OpenFile& file, int descriptor) {
    Item* item = nullptr;
    {
        const task::SpinGuard guard(lock_);
        const auto found = items_.find(Key{&file, descriptor});
        if (found == items_.end()) {
            return fail(Errno::enoent);
        }
        item = &*found;
        take_out(*item);
    }
    PollQueue::remove(*item);
    delete item;
    return {};
}

void Epoll::forget(OpenFile& file) {
    instances.with([&](Epoll* first) {
        for (Epoll* epoll = first; epoll != nullptr; epoll = epoll->next_) {
            while (true) {
                Item* item = nullptr;
                {
                    const task::SpinGuard guard(epoll->lock_);
                    const auto found = epoll->items_.lower_bound(Key{&file, -1});
                    if (found == epoll->items_.end() || found->file != &file) {
                        break;
                    }
                    item = &*found;
                    epoll->take_out(*item);
                }
                PollQueue::remove(*item);
                delete item;
            }
        }
    });
}

std::size_t Epoll::harvest(std::span<EpollEvent> room, std::uint64_t& round) {
    round = round == 0 ? ++round_ : round;
    std::size_t found = 0;
    // Each is looked at once: what stays ready goes to the end of the list.
    for (std::size_t left = ready_.size(); left != 0 && found < room.size(); --left) {
        Item& item = ready_.front();
        if (item.told_in >= round) {
            break;  // the next call's, as what follows
        }
        ready_.pop_front();
        item.is_ready = false;
        // The file is there: it leaves the set, under our lock, before it goes.
        const std::uint32_t ready = item.file->poll(nullptr) & (item.event.events | poll_event::always);
        if (ready == 0) {
            continue;
        }
        room[found++] = {ready, item.event.data};
        item.told_in = round_;
        if ((item.event.events & epoll_flag::one_shot) != 0) {
            item.event.events &= epoll_flag::edge | epoll_flag::one_shot;
        } else if ((item.event.events & epoll_flag::edge) == 0) {
            item.is_ready = true;
            ready_.push_back(item);
        }
    }
    ready_count_.store(ready_.size(), std::memory_order_release);
    return found;
}

std::size_t Epoll::take_more(std::span<EpollEvent> room, std::uint64_t round) {
    const task::SpinGuard guard(lock_);
    return harvest(room, round);
}

Outcome<std::size_t> Epoll::wait_for(std::span<EpollEvent> room, Deadline deadline, std::uint64_t& round) {
    while (true) {
        std::size_t found = 0;
        bool more = false;
        if (nested_.load(std::memory_order_relaxed) != 0) {
            refresh();
        }
        {
            const task::SpinGuard guard(lock_);
            round = 0;
            found = harvest(room, round);
            more = !ready_.empty();
        }
        if (found != 0) {
            if (more) {
                waiters_.wake_one();  // there is something for another thread as well
            }
            return found;
        }
        if (deadline.expired()) {
            return std::size_t{0};
        }
        const Outcome<> waited =
            wait(waiters_, deadline, [&] { return ready_count_.load(std::memory_order_acquire) != 0; });
        if (!waited && waited.error() == Errno::eintr) {
            return fail(Errno::eintr);
        }
    }
}

std::uint32_t Epoll::poll(Watcher* watcher) {
    if (watcher != nullptr) {
        poll_queue_.add(*watcher);
    }
    return ready_count_.load(std::memory_order_acquire) != 0 ? poll_event::readable : 0;
}

std::string_view Epoll::label(std::span<char> room) const {
    constexpr std::string_view text = "anon_inode:[eventpoll]";
    if (room.size() < text.size()) {
        return {};
    }
    std::ranges::copy(text, room.begin());
    return {room.data(), text.size()};
}

}  // namespace pv::fs
