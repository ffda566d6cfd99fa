// Whom a file's signals go to, and whether they may.
// SPDX-License-Identifier: MIT
#include "linux/file_owner.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/resource.h>

#include <limits>
#include <memory>
#include <new>

#include "fs/file_signals.hpp"
#include "task/process_tree.hpp"

namespace pv::linux {
namespace {

using task::ProcessId;
using Queued = task::PendingSignals::Queued;

/// As fcntl(2) names them.
struct OwnerValue {
    std::int32_t type;
    std::int32_t id;
};

static_assert(sizeof(OwnerValue) == sizeof(f_owner_ex));

long band_of(fs::ReadyReason reason) {
    switch (reason) {
        case fs::ReadyReason::in:
            return POLLIN | POLLRDNORM;
        case fs::ReadyReason::out:
            return POLLOUT | POLLWRNORM | POLLWRBAND;
        case fs::ReadyReason::error:
            return POLLERR;
        case fs::ReadyReason::priority:
            return POLLPRI | POLLRDBAND;
        case fs::ReadyReason::hang_up:
            return POLLHUP | POLLERR;
    }
    return 0;
}

task::SignalInfo info_of(const fs::FileSignal& signal) {
    const int code = has_codes_of_its_own(signal.number) ? SI_SIGIO : static_cast<int>(signal.reason);
    task::SignalInfo info = task::make_info(signal.number, code, nullptr);
    info.si_band = band_of(signal.reason);
    info.si_fd = signal.descriptor;
    return info;
}

// The tree's lock is held in the next two.
bool is_group(ProcessId id) {
    bool found = false;
    task::for_each_process([&](const task::Process& process) { found = found || process.group == id; });
    return found;
}

bool is_any(ProcessId id) {
    bool found = task::find_process(id) != nullptr || task::find_thread(id) != nullptr;
    if (!found) {
        task::for_each_process([&](const task::Process& process) {
            found = found || process.group == id || process.session == id;
        });
    }
    return found;
}

class FileOwner final : public fs::SignalOwner {
  public:
    FileOwner(int of_type, ProcessId of_id) : type(of_type), id(of_id) {}

    /// Before others know of it. Finds who has the number: what has it later is not meant. False where nobody
    /// has; a number that is only another kind's is taken, and nobody is told.
    [[nodiscard]] bool find(const task::Identity& setter) {
        const task::SpinGuard guard(task::tree_lock());
        user_ = setter.user;
        effective_user_ = setter.effective_user;
        if (task::Process* process = task::find_process(id); type == F_OWNER_PID && process != nullptr) {
            process_ = Ref<task::Process>(*process);
        }
        if (task::UserThread* thread = task::find_thread(id); type == F_OWNER_TID && thread != nullptr) {
            thread_ = Ref<task::UserThread>(*thread);
        }
        return is_any(id);
    }

    /// With the tree's lock: whether there is still somebody.
    [[nodiscard]] bool is_there() const {
        switch (type) {
            case F_OWNER_TID:
                return thread_ && task::find_thread(id) == thread_.get();
            case F_OWNER_PID:
                return process_ && task::find_process(id) == process_.get();
            default:
                return is_group(id);
        }
    }

    void send(const fs::FileSignal& signal) override {
        if (type == F_OWNER_PGRP) {
            send_to_group(signal);
            return;
        }
        std::unique_ptr<Queued> entry(new (std::nothrow) Queued);
        {
            const task::SpinGuard guard(task::tree_lock());
            if (is_there()) {
                if (type == F_OWNER_TID) {
                    post(*thread_, thread_->process(), signal, entry);
                } else {
                    post(*process_, *process_, signal, entry);
                }
            }
        }
    }

    const int type;
    const ProcessId id;

  private:
    // One process at a time, so that memory for each is there before the lock is taken.
    void send_to_group(const fs::FileSignal& signal) {
        ProcessId last = 0;
        bool found = true;
        while (found) {
            found = false;
            std::unique_ptr<Queued> entry(new (std::nothrow) Queued);
            {
                const task::SpinGuard guard(task::tree_lock());
                task::for_each_process([&](task::Process& process) {
                    if (!found && process.id > last && process.group == id) {
                        found = true;
                        last = process.id;
                        post(process, process, signal, entry);
                    }
                });
            }
        }
    }

    // To a process or a thread, as whoever set the owner might have sent it. Where as many wait as may, the
    // program is told by SIGIO that it missed some.
    template <class Receiver>
    void post(Receiver& to, const task::Process& process, const fs::FileSignal& signal,
              std::unique_ptr<Queued>& entry) const {
        if (effective_user_ != 0 && !process.identity().takes_signals_of(user_, effective_user_)) {
            return;
        }
        const bool is_queued = signal.number >= task::first_real_time_signal;
        const bool is_missed = is_queued && to.pending.count() >= process.limits[RLIMIT_SIGPENDING].soft;
        const bool has_reason = signal.number != 0 && !is_missed;
        Queued* room = entry.release();
        if (has_reason) {
            task::post_signal(to, signal.number, info_of(signal), room);
        } else {
            task::post_signal(to, SIGIO, task::make_info(SIGIO, SI_KERNEL, nullptr), room);
        }
        entry.reset(room);  // where it was not needed
    }

    Ref<task::Process> process_;
    Ref<task::UserThread> thread_;
    std::uint32_t user_ = 0;
    std::uint32_t effective_user_ = 0;
};

Outcome<> set_owner(Call& call, fs::OpenFile& file, int type, ProcessId id) {
    fs::FileSignals* const signals = PV_TRY(file.make_signals());
    if (id == 0) {
        signals->set_owner({});
        return {};
    }
    auto owner = Ref<FileOwner>::adopt(new (std::nothrow) FileOwner(type, id));
    if (!owner) {
        return fail(Errno::enomem);
    }
    if (!owner->find(call.thread.identity)) {
        return fail(Errno::esrch);
    }
    signals->set_owner(Ref<fs::SignalOwner>(std::move(owner)));
    return {};
}

// Who it is, {0, 0} for nobody, and 0 as the number where they are gone.
OwnerValue owner_value(fs::OpenFile& file) {
    fs::FileSignals* const signals = file.signals();
    const Ref<fs::SignalOwner> owner = signals == nullptr ? Ref<fs::SignalOwner>() : signals->owner();
    if (!owner) {
        return {F_OWNER_TID, 0};
    }
    const auto& own = static_cast<const FileOwner&>(*owner);
    const task::SpinGuard guard(task::tree_lock());
    return {own.type, own.is_there() ? own.id : 0};
}

}  // namespace

bool has_codes_of_its_own(int signal) {
    switch (signal) {
        case SIGILL:
        case SIGFPE:
        case SIGSEGV:
        case SIGBUS:
        case SIGTRAP:
        case SIGCHLD:
        case SIGSYS:
            return true;
        default:
            return false;
    }
}

Outcome<> set_file_owner(Call& call, fs::OpenFile& file, int whom) {
    if (whom == std::numeric_limits<int>::min()) {
        return fail(Errno::einval);
    }
    return whom < 0 ? set_owner(call, file, F_OWNER_PGRP, -whom) : set_owner(call, file, F_OWNER_PID, whom);
}

int file_owner(fs::OpenFile& file) {
    const OwnerValue owner = owner_value(file);
    return owner.type == F_OWNER_PGRP ? -owner.id : owner.id;
}

Value file_owner_command(Call& call, fs::OpenFile& file, int command, std::uint64_t argument) {
    switch (command) {
        case F_SETOWN:
            return done(set_file_owner(call, file, static_cast<int>(argument)));
        case F_GETOWN:
            return static_cast<std::uint64_t>(std::int64_t{file_owner(file)});
        case F_SETOWN_EX: {
            const OwnerValue given = PV_TRY(UserPointer<const OwnerValue>(argument).read());
            if (given.type != F_OWNER_TID && given.type != F_OWNER_PID && given.type != F_OWNER_PGRP) {
                return fail(Errno::einval);
            }
            return done(set_owner(call, file, given.type, given.id));
        }
        case F_GETOWN_EX:
            return done(UserPointer<OwnerValue>(argument).write(owner_value(file)));
        case F_SETSIG:
            if (argument > static_cast<std::uint64_t>(task::signal_count)) {
                return fail(Errno::einval);
            }
            PV_TRY(file.make_signals())->set_number(static_cast<int>(argument));
            return 0;
        case F_GETSIG:
            return file.signals() == nullptr ? 0 : static_cast<std::uint64_t>(file.signals()->number());
        default:
            return fail(Errno::einval);
    }
}

}  // namespace pv::linux
