// What terminals ask of processes: sessions, groups, signals.
// SPDX-License-Identifier: MIT
#include "linux/job_control.hpp"

#include "fs/terminal.hpp"
#include "task/process.hpp"

namespace pv::linux {
namespace {

class Processes final : public fs::JobControl {
  public:
    [[nodiscard]] int session() override {
        const task::UserThread* self = task::UserThread::current_or_null();
        return self == nullptr ? 0 : self->process().session;
    }

    [[nodiscard]] int group() override {
        const task::UserThread* self = task::UserThread::current_or_null();
        return self == nullptr ? 0 : self->process().group;
    }

    [[nodiscard]] bool leads_session() override {
        const task::UserThread* self = task::UserThread::current_or_null();
        return self != nullptr && self->process().session == self->process().id;
    }

    [[nodiscard]] int session_of_group(int group) override {
        int session = 0;
        const task::SpinGuard guard(task::tree_lock());
        task::for_each_process([&](const task::Process& process) {
            session = process.group == group ? process.session : session;
        });
        return session;
    }

    void signal_group(int group, int number) override {
        static_cast<void>(
            task::send_group_signal(group, number, task::make_info(number, SI_KERNEL, nullptr)));
    }

    void signal_leader(int session, int number) override {
        Ref<task::Process> leader;
        {
            const task::SpinGuard guard(task::tree_lock());
            task::Process* found = task::find_process(session);
            if (found == nullptr || found->session != session || !found->try_add_owner()) {
                return;
            }
            leader = Ref<task::Process>::adopt(found);
        }
        task::send_signal(*leader, number, task::make_info(number, SI_KERNEL, nullptr));
    }

    [[nodiscard]] fs::UserId user() override {
        const task::UserThread* self = task::UserThread::current_or_null();
        return self == nullptr ? 0 : self->identity.file_user;
    }

    [[nodiscard]] Outcome<> stop_background(int number) override {
        task::UserThread* self = task::UserThread::current_or_null();
        if (self == nullptr) {
            return {};
        }
        bool refuses = false;
        {
            const task::SpinGuard guard(task::tree_lock());
            refuses = (*self->process().actions)[number].handler == 1 ||
                      (self->blocked.load(std::memory_order_relaxed) & task::bit_of(number)) != 0;
        }
        if (refuses) {
            return number == SIGTTOU ? Outcome<>{} : fail(Errno::eio);
        }
        signal_group(self->process().group, number);
        return fail(Errno::eintr);
    }
};

constinit Processes processes;

}  // namespace

void start_job_control() {
    fs::set_job_control(processes);
}

}  // namespace pv::linux
