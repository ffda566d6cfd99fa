// Queues of watchers, and poll(2) over them.
// SPDX-License-Identifier: MIT
#include "fs/poll.hpp"

#include <memory>
#include <new>

#include "base/atomic.hpp"
#include "fs/epoll.hpp"
#include "fs/open_file.hpp"
#include "fs/wait.hpp"

namespace pv::fs {
namespace {

/// What all entries of one call to poll() wake.
struct Sleeper {
    task::WaitQueue queue;
    Atomic<bool> told{false};
};

class PollWatcher final : public Watcher {
  public:
    void notify(std::uint32_t events) override {
        if ((events & (wanted | poll_event::always)) != 0) {
            sleeper->told.store(true, std::memory_order_release);
            sleeper->queue.wake_all();
        }
    }

    Sleeper* sleeper = nullptr;
    std::uint32_t wanted = 0;
};

std::size_t look(std::span<PollEntry> entries, PollWatcher* watchers, Sleeper* sleeper) {
    std::size_t found = 0;
    for (std::size_t i = 0; i < entries.size(); ++i) {
        PollEntry& entry = entries[i];
        entry.found = 0;
        if (entry.file == nullptr) {
            entry.found = entry.is_open ? 0 : poll_event::invalid;
        } else {
            PollWatcher* watcher = nullptr;
            // Once something is ready nobody will wait.
            if (sleeper != nullptr && found == 0) {
                watcher = &watchers[i];
                watcher->sleeper = sleeper;
                watcher->wanted = entry.wanted;
            }
            if (entry.file->kind() == FileKind::epoll) {
                static_cast<Epoll&>(*entry.file).refresh();
            }
            entry.found = entry.file->poll(watcher) & (entry.wanted | poll_event::always);
        }
        found += entry.found != 0 ? 1 : 0;
    }
    return found;
}

}  // namespace

PollQueue::~PollQueue() {
    const task::SpinGuard guard(lock_);
    PV_ASSERT(watchers_.empty());
}

void PollQueue::add(Watcher& watcher) {
    const task::SpinGuard guard(lock_);
    watcher.queue_ = this;
    watchers_.push_back(watcher);
    // Ordered against the maker of a change, who writes it and then reads the count.
    count_.fetch_add(1, std::memory_order_seq_cst);
}

void PollQueue::remove(Watcher& watcher) {
    PollQueue* queue = watcher.queue_;
    if (queue == nullptr) {
        return;
    }
    const task::SpinGuard guard(queue->lock_);
    queue->watchers_.erase(queue->watchers_.iterator_to(watcher));
    watcher.queue_ = nullptr;
    queue->count_.fetch_sub(1, std::memory_order_relaxed);
}

void PollQueue::notify(std::uint32_t events) {
    std::atomic_thread_fence(std::memory_order_seq_cst);
    if (count_.load(std::memory_order_relaxed) == 0) {
        return;
    }
    const task::SpinGuard guard(lock_);
    for (Watcher& watcher : watchers_) {
        watcher.notify(events);
    }
}

Outcome<std::size_t> poll(std::span<PollEntry> entries, Deadline deadline) {
    std::size_t found = look(entries, nullptr, nullptr);
    if (found != 0 || deadline.expired()) {
        return found;
    }
    std::unique_ptr<PollWatcher[]> watchers(new (std::nothrow) PollWatcher[entries.size() + 1]);
    if (watchers == nullptr) {
        return fail(Errno::enomem);
    }
    Sleeper sleeper;

    struct Leave {
        std::span<PollEntry> entries;
        PollWatcher* watchers;

        ~Leave() {
            for (std::size_t i = 0; i < entries.size(); ++i) {
                PollQueue::remove(watchers[i]);
            }
        }
    } leave{entries, watchers.get()};

    found = look(entries, watchers.get(), &sleeper);
    while (found == 0) {
        const Outcome<> waited = wait(
            sleeper.queue, deadline, [&] { return sleeper.told.exchange(false, std::memory_order_acq_rel); });
        found = look(entries, nullptr, nullptr);
        if (!waited) {
            if (found != 0 || waited.error() == Errno::etimedout) {
                break;
            }
            return fail(waited.error());
        }
    }
    return found;
}

Outcome<> wait_until_ready(OpenFile& file, std::uint32_t wanted) {
    PollEntry entry{.file = &file, .wanted = wanted};
    static_cast<void>(PV_TRY(poll({&entry, 1}, Deadline::never("a program waits for readiness"))));
    return {};
}

}  // namespace pv::fs
