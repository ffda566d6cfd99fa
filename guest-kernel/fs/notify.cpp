// inotify: who watches what, and the queues of events.
// SPDX-License-Identifier: MIT
#include "fs/notify.hpp"

#include <asm/ioctls.h>

#include <algorithm>
#include <array>
#include <new>

#include "base/atomic.hpp"
#include "fs/wait.hpp"
#include "task/lock.hpp"

namespace pv::fs {

/// One event; its name behind it.
struct NotifyFile::Event {
    Event* next = nullptr;
    int number = 0;
    std::uint32_t mask = 0;
    std::uint32_t cookie = 0;
    std::uint8_t length = 0;
    std::array<char, name_max> name;  ///< allocated as far as it is needed only

    [[nodiscard]] std::string_view text() const { return {name.data(), length}; }

    /// As struct inotify_event tells it: padded with zeros to a multiple of its size.
    [[nodiscard]] std::size_t padded() const { return length == 0 ? 0 : (length + 16U) / 16U * 16U; }

    [[nodiscard]] std::size_t size() const { return 16 + padded(); }
};

struct NotifyFile::Watch
    : boost::intrusive::set_base_hook<boost::intrusive::link_mode<boost::intrusive::normal_link>> {
    Ref<Node> node;
    NotifyFile* file = nullptr;
    int number = 0;
    std::uint32_t mask = 0;
    Watch* dropped_next = nullptr;
};

/// All watches, by node and then by file.
struct NotifyFile::Table {
    struct Key {
        const Node* node;
        const NotifyFile* file;

        friend auto operator<=>(const Key&, const Key&) = default;
    };

    struct KeyOf {
        using type = Key;

        type operator()(const Watch& watch) const { return {watch.node.get(), watch.file}; }
    };

    using Set = boost::intrusive::set<Watch, boost::intrusive::key_of_value<KeyOf>>;

    Set watches;

    void tell(Node& node, std::uint32_t events, std::uint32_t cookie, std::string_view name,
              Watch*& dropped) {
        for (auto at = watches.lower_bound(Key{&node, nullptr});
             at != watches.end() && at->node.get() == &node;) {
            Watch& watch = *at;
            ++at;
            if ((watch.mask & events & notify_event::all) == 0) {
                continue;
            }
            watch.file->put(watch.number, events, cookie, name);
            if ((watch.mask & notify_event::one_shot) != 0) {
                drop(watch, dropped);
            }
        }
    }

    /// Takes a watch out, says so, and puts it in front of `dropped`, to be freed without the lock.
    void drop(Watch& watch, Watch*& dropped);
};

namespace {

constinit task::Guarded<task::OnFirstUse<NotifyFile::Table>, task::Rank::notify> table;
constinit Atomic<std::uint32_t> watch_count{0};

bool is_anybody_watching() {
    return watch_count.load(std::memory_order_relaxed) != 0;
}

void free_all(NotifyFile::Watch* watch) {
    while (watch != nullptr) {
        delete std::exchange(watch, watch->dropped_next);
    }
}

void tell(Node& node, std::uint32_t events, std::uint32_t cookie, std::string_view name) {
    NotifyFile::Watch* dropped = nullptr;
    table.with([&](NotifyFile::Table& all) { all.tell(node, events, cookie, name, dropped); });
    free_all(dropped);
}

std::uint32_t kind_bit(const Node& node) {
    return node.is_directory() ? notify_event::is_directory : 0;
}

}  // namespace

void NotifyFile::Table::drop(Watch& watch, Watch*& dropped) {
    watch.file->put(watch.number, notify_event::ignored, 0, {});
    watches.erase(watches.iterator_to(watch));
    watch_count.fetch_sub(1, std::memory_order_relaxed);
    watch.dropped_next = dropped;
    dropped = &watch;
}

void notify(Node& node, std::uint32_t events) {
    if (!is_anybody_watching()) {
        return;
    }
    events |= kind_bit(node);
    Name name;
    Ref<Node> directory;
    if (node.place(name, directory)) {
        tell(*directory, events, 0, name.text());
    }
    tell(node, events, 0, {});
}

void notify_self(Node& node, std::uint32_t events) {
    if (is_anybody_watching()) {
        tell(node, events | kind_bit(node), 0, {});
    }
}

void notify_entry(Node& directory, std::string_view name, std::uint32_t events, std::uint32_t cookie) {
    if (is_anybody_watching()) {
        tell(directory, events, cookie, name);
    }
}

void notify_rename(Node& from, std::string_view old_name, Node& to, std::string_view new_name, Node& node) {
    static constinit Atomic<std::uint32_t> last_cookie{0};
    if (!is_anybody_watching()) {
        return;
    }
    const std::uint32_t cookie = last_cookie.fetch_add(1, std::memory_order_relaxed) + 1;
    tell(from, notify_event::moved_from | kind_bit(node), cookie, old_name);
    tell(to, notify_event::moved_to | kind_bit(node), cookie, new_name);
    tell(node, notify_event::move_self, 0, {});
}

void notify_end(Node& node) {
    if (!is_anybody_watching()) {
        return;
    }
    tell(node, notify_event::remove_self, 0, {});
    NotifyFile::Watch* dropped = nullptr;
    table.with([&](NotifyFile::Table& all) {
        for (auto at = all.watches.lower_bound(NotifyFile::Table::Key{&node, nullptr});
             at != all.watches.end() && at->node.get() == &node;) {
            NotifyFile::Watch& watch = *at;
            ++at;
            all.drop(watch, dropped);
        }
    });
    free_all(dropped);
}

Outcome<Ref<NotifyFile>> NotifyFile::create(std::uint32_t flags) {
    auto* file = new (std::nothrow) NotifyFile(flags);
    if (file == nullptr) {
        return fail(Errno::enomem);
    }
    return Ref<NotifyFile>::adopt(file);
}

NotifyFile::~NotifyFile() {
    Watch* dropped = nullptr;
    Event* events = nullptr;
    table.with([&](Table& all) {
        for (auto at = all.watches.begin(); at != all.watches.end();) {
            Watch& watch = *at;
            ++at;
            if (watch.file == this) {
                all.drop(watch, dropped);
            }
        }
        events = std::exchange(first_, nullptr);
    });
    free_all(dropped);
    while (events != nullptr) {
        ::operator delete(std::exchange(events, events->next));
    }
}

void NotifyFile::put(int number, std::uint32_t mask, std::uint32_t cookie, std::string_view name) {
    // What happens again and again and is not read is told once (inotify(7)).
    if (last_ != nullptr && last_->number == number && last_->mask == mask && last_->cookie == cookie &&
        last_->text() == name) {
        return;
    }
    Event* event = nullptr;
    if (count_ < events_max) {
        event = static_cast<Event*>(::operator new(offsetof(Event, name) + name.size(), std::nothrow));
    }
    if (event == nullptr) {
        overflowed_ = true;
    } else {
        event->next = nullptr;
        event->number = number;
        event->mask = mask;
        event->cookie = cookie;
        event->length = static_cast<std::uint8_t>(name.size());
        std::copy_n(name.begin(), name.size(), event->name.begin());
        (last_ == nullptr ? first_ : last_->next) = event;
        last_ = event;
        ++count_;
        bytes_ += event->size();
    }
    is_ready_.store(true, std::memory_order_release);
    readers_.wake_all();
    poll_queue_.notify(poll_event::readable);
}

Outcome<int> NotifyFile::watch(Ref<Node> node, std::uint32_t mask) {
    auto* fresh = new (std::nothrow) Watch;
    if (fresh == nullptr) {
        return fail(Errno::enomem);
    }
    fresh->node = std::move(node);
    fresh->file = this;
    fresh->mask = mask & (notify_event::all | notify_event::one_shot);
    const Outcome<int> number = table.with([&](Table& all) -> Outcome<int> {
        const auto [at, is_new] = all.watches.insert(*fresh);
        if (is_new) {
            watch_count.fetch_add(1, std::memory_order_relaxed);
            return std::exchange(fresh, nullptr)->number = ++last_number_;
        }
        if ((mask & notify_event::mask_create) != 0) {
            return fail(Errno::eexist);
        }
        at->mask = (mask & notify_event::mask_add) != 0 ? at->mask | fresh->mask : fresh->mask;
        return at->number;
    });
    delete fresh;
    return number;
}

Outcome<> NotifyFile::unwatch(int number) {
    Watch* dropped = nullptr;
    table.with([&](Table& all) {
        for (Watch& watch : all.watches) {
            if (watch.file == this && watch.number == number) {
                all.drop(watch, dropped);
                break;
            }
        }
    });
    const bool was_there = dropped != nullptr;
    free_all(dropped);
    return was_there ? Outcome<>() : fail(Errno::einval);
}

Outcome<std::size_t> NotifyFile::do_read(std::uint64_t&, Target& target) {
    struct Wire {
        std::int32_t number;
        std::uint32_t mask, cookie, length;
    };

    static_assert(sizeof(Wire) == 16);
    std::size_t done = 0;
    while (true) {
        Event* event = nullptr;
        bool is_short = false;
        bool is_overflow = false;
        table.with([&](Table&) {
            if (first_ == nullptr) {
                is_overflow = overflowed_ && target.left() >= sizeof(Wire);
                overflowed_ = overflowed_ && !is_overflow;
            } else if (first_->size() > target.left()) {
                is_short = true;
            } else {
                event = first_;
                first_ = event->next;
                last_ = first_ == nullptr ? nullptr : last_;
                --count_;
                bytes_ -= event->size();
            }
            is_ready_.store(first_ != nullptr || overflowed_, std::memory_order_release);
        });
        if (event == nullptr && !is_overflow) {
            if (done != 0) {
                return done;
            }
            if (is_short) {
                return fail(Errno::einval);
            }
            if (is_nonblocking()) {
                return fail(Errno::eagain);
            }
            PV_TRY(wait(readers_, [&] { return is_ready_.load(std::memory_order_acquire); }));
            continue;
        }
        constexpr std::size_t padding = 16;
        std::array<std::byte, sizeof(Wire) + name_max + padding> room{};
        Wire wire{-1, notify_event::overflow, 0, 0};
        if (event != nullptr) {
            wire = {event->number, event->mask, event->cookie, static_cast<std::uint32_t>(event->padded())};
            std::ranges::copy(std::as_bytes(std::span(event->text())), room.begin() + sizeof wire);
            ::operator delete(event);
        }
        std::ranges::copy(bytes_of(wire), room.begin());
        const Outcome<std::size_t> put = target.put(std::span(room).first(sizeof wire + wire.length));
        if (!put) {
            return done != 0 ? Outcome<std::size_t>(done) : put;
        }
        done += *put;
    }
}

std::uint32_t NotifyFile::poll(Watcher* watcher) {
    if (watcher != nullptr) {
        poll_queue_.add(*watcher);
    }
    return is_ready_.load(std::memory_order_acquire) ? poll_event::readable : 0;
}

Outcome<std::uint64_t> NotifyFile::ioctl(std::uint32_t request, IoctlArgument& argument) {
    if (request != FIONREAD) {
        return fail(Errno::enotty);
    }
    const auto count = static_cast<std::int32_t>(table.with([&](Table&) { return bytes_; }));
    PV_TRY(argument.write(bytes_of(count)));
    return 0;
}

std::string_view NotifyFile::label(std::span<char> room) const {
    return put_label(room, "anon_inode:inotify");
}

}  // namespace pv::fs
