// The file behind signalfd.
// SPDX-License-Identifier: MIT
#include "linux/signal_file.hpp"

#include <sys/signalfd.h>

#include <new>

#include "fs/wait.hpp"
#include "linux/file_owner.hpp"

namespace pv::linux {
namespace {

bool is_of_file(int signal, int code) {
    return code == SI_SIGIO || (code > 0 && code <= POLL_HUP && !has_codes_of_its_own(signal));
}

signalfd_siginfo wire_of(int signal, const task::SignalInfo& info) {
    signalfd_siginfo wire{};
    wire.ssi_signo = static_cast<std::uint32_t>(signal);
    wire.ssi_errno = info.si_errno;
    wire.ssi_code = info.si_code;
    if (signal == SIGCHLD) {
        wire.ssi_pid = static_cast<std::uint32_t>(info.si_pid);
        wire.ssi_uid = info.si_uid;
        wire.ssi_status = info.si_status;
    } else if (is_of_file(signal, info.si_code)) {
        wire.ssi_fd = info.si_fd;
        wire.ssi_band = static_cast<std::uint32_t>(info.si_band);
    } else if (info.si_code <= 0) {
        wire.ssi_pid = static_cast<std::uint32_t>(info.si_pid);
        wire.ssi_uid = info.si_uid;
        wire.ssi_int = info.si_value.sival_int;
        wire.ssi_ptr = reinterpret_cast<std::uintptr_t>(info.si_value.sival_ptr);
    }
    return wire;
}

// The tree's lock is held.
task::SignalSet pending_of(const task::UserThread& thread) {
    return thread.pending.set() | thread.process().pending.set();
}

}  // namespace

Outcome<Ref<SignalFile>> SignalFile::create(task::Process& maker, task::SignalSet wanted,
                                            std::uint32_t flags) {
    auto* file = new (std::nothrow) SignalFile(maker, wanted & ~task::unstoppable, flags);
    if (file == nullptr) {
        return fail(Errno::enomem);
    }
    return Ref<SignalFile>::adopt(file);
}

void SignalFile::set_wanted(task::SignalSet wanted) {
    wanted_.store(wanted & ~task::unstoppable, std::memory_order_seq_cst);
    maker_->signal_queue.wake_all();
    maker_->signal_watchers.notify(fs::poll_event::readable);
}

std::uint32_t SignalFile::poll(fs::Watcher* watcher) {
    if (watcher != nullptr) {
        maker_->signal_watchers.add(*watcher);
    }
    // Under the tree's lock when a signal is being sent: its set is read without it, as a hint that whoever
    // reads looks at again.
    const task::UserThread* self = task::UserThread::current_or_null();
    if (self == nullptr) {
        return 0;
    }
    return (pending_of(*self) & wanted_.load(std::memory_order_seq_cst)) != 0 ? fs::poll_event::readable : 0;
}

int SignalFile::take(task::SignalInfo& info) const {
    task::UserThread& self = task::UserThread::current();
    const task::SpinGuard guard(task::tree_lock());
    return task::take_signal(self, wanted_.load(std::memory_order_seq_cst), info);
}

Outcome<std::size_t> SignalFile::do_read(std::uint64_t&, fs::Target& target) {
    if (target.left() < sizeof(signalfd_siginfo)) {
        return fail(Errno::einval);
    }
    std::size_t done = 0;
    while (target.left() >= sizeof(signalfd_siginfo)) {
        task::SignalInfo info{};
        int signal = take(info);
        if (signal == 0) {
            if (done != 0) {
                break;
            }
            if (is_nonblocking()) {
                return fail(Errno::eagain);
            }
            PV_TRY(fs::wait(task::UserThread::current().process().signal_queue, [&] {
                signal = take(info);
                return signal != 0;
            }));
        }
        const Outcome<std::size_t> put = target.put(fs::bytes_of(wire_of(signal, info)));
        if (!put) {
            return done != 0 ? Outcome<std::size_t>(done) : put;
        }
        done += *put;
    }
    return done;
}

std::string_view SignalFile::label(std::span<char> room) const {
    return fs::put_label(room, "anon_inode:[signalfd]");
}

}  // namespace pv::linux
