// Files' signals: what is noted when a file becomes ready, and the thread that sends.
// SPDX-License-Identifier: MIT
#include "fs/file_signals.hpp"

#include <boost/intrusive/list.hpp>
#include <utility>

#include "fs/open_file.hpp"
#include "fs/wait.hpp"
#include "task/thread.hpp"

namespace pv::fs {

/// Files with signals to send, in the order in which they came to have some.
struct FileSignals::Due {
    boost::intrusive::list<
        FileSignals,
        boost::intrusive::member_hook<FileSignals, decltype(FileSignals::due_hook_), &FileSignals::due_hook_>,
        boost::intrusive::constant_time_size<false>>
        files;
};

namespace {

constexpr std::uint32_t bit_of(ReadyReason reason) {
    return 1U << static_cast<unsigned>(reason);
}

constinit Atomic<bool> is_started{false};
constinit Atomic<bool> any_due{false};
constinit task::WaitQueue sender_queue;

}  // namespace

constinit task::Guarded<task::OnFirstUse<FileSignals::Due>, task::Rank::leaf> FileSignals::due;

FileSignals::~FileSignals() {
    PollQueue::remove(*this);
    // Nobody notes anything any more: what was noted goes unsent, as its file is closed.
    due.with([&](Due& all) {
        if (reasons_ != 0) {
            all.files.erase(all.files.iterator_to(*this));
        }
    });
}

void FileSignals::set_owner(Ref<SignalOwner> owner) {
    due.with([&](Due&) { std::swap(owner_, owner); });
}

Ref<SignalOwner> FileSignals::owner() {
    return due.with([&](Due&) { return owner_; });
}

Outcome<> FileSignals::switch_on(int descriptor) {
    if (!is_started.exchange(true, std::memory_order_seq_cst) &&
        !task::Thread::create("file signals", serve, nullptr)) {
        is_started.store(false, std::memory_order_seq_cst);
        return fail(Errno::enomem);
    }
    const MutexGuard guard(switch_lock_);
    due.with([&](Due&) { descriptor_ = descriptor; });
    if (!is_watching()) {
        const bool has_room = (file_.poll(this) & poll_event::writable) != 0;
        is_full_.store(!has_room, std::memory_order_seq_cst);
        file_.set_flags(open_flag::async, open_flag::async);
    }
    return {};
}

void FileSignals::switch_off() {
    const MutexGuard guard(switch_lock_);
    if (is_watching()) {
        PollQueue::remove(*this);
        file_.set_flags(open_flag::async, 0);
    }
}

void FileSignals::note_full() {
    is_full_.store(true, std::memory_order_seq_cst);
    // Room that came before this was noted is told of here.
    if ((file_.poll(nullptr) & poll_event::writable) != 0) {
        const MutexGuard guard(switch_lock_);
        if (is_watching()) {
            notify(poll_event::writable);
        }
    }
}

std::uint32_t FileSignals::reasons_of(std::uint32_t events) {
    if (file_.kind() == FileKind::pipe) {
        const bool may_read = (events & (poll_event::readable | poll_event::hang_up)) != 0;
        const bool may_write = (events & (poll_event::writable | poll_event::error)) != 0;
        return (may_read && is_readable(file_.flags()) ? bit_of(ReadyReason::in) : 0) |
               (may_write && is_writable(file_.flags()) ? bit_of(ReadyReason::out) : 0);
    }
    std::uint32_t reasons = 0;
    // Both bits of what is always told say only that something happened.
    const bool is_certain = (events & poll_event::always) != poll_event::always;
    if ((events & poll_event::hang_up) != 0 && is_certain) {
        reasons |= bit_of(ReadyReason::hang_up);
    } else if ((events & poll_event::readable) != 0) {
        reasons |= bit_of(ReadyReason::in);
    } else if ((events & poll_event::always) != 0) {
        reasons |= bit_of(ReadyReason::error);
    }
    reasons |= (events & poll_event::priority) != 0 ? bit_of(ReadyReason::priority) : 0;
    if ((events & poll_event::writable) != 0 && is_full_.exchange(false, std::memory_order_seq_cst)) {
        reasons |= bit_of(ReadyReason::out);
    }
    return reasons;
}

void FileSignals::notify(std::uint32_t events) {
    const std::uint32_t reasons = reasons_of(events);
    if (reasons == 0) {
        return;
    }
    due.with([&](Due& all) {
        if (reasons_ == 0) {
            all.files.push_back(*this);
        }
        reasons_ |= reasons;
    });
    any_due.store(true, std::memory_order_release);
    sender_queue.wake_one();
}

bool FileSignals::send_first() {
    Ref<SignalOwner> owner;
    FileSignal signal;
    std::uint32_t reasons = 0;
    const bool is_any = due.with([&](Due& all) {
        if (all.files.empty()) {
            return false;
        }
        FileSignals& one = all.files.front();
        all.files.pop_front();
        reasons = std::exchange(one.reasons_, 0);
        owner = one.owner_;
        signal.number = one.number();
        signal.descriptor = one.descriptor_;
        return true;
    });
    // The file may end from here on: nothing of it is touched.
    for (const ReadyReason reason : {ReadyReason::in, ReadyReason::out, ReadyReason::error,
                                     ReadyReason::priority, ReadyReason::hang_up}) {
        if (owner && (reasons & bit_of(reason)) != 0) {
            signal.reason = reason;
            owner->send(signal);
        }
    }
    return is_any;
}

void FileSignals::serve(void*) {
    while (true) {
        static_cast<void>(sender_queue.wait(Deadline::never("no file with O_ASYNC has become ready"), [] {
            return any_due.exchange(false, std::memory_order_acq_rel);
        }));
        while (send_first()) {
        }
    }
}

}  // namespace pv::fs
