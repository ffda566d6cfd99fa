// Reaps inherited daemons.
// SPDX-License-Identifier: MIT
#include "domain/orphans.hpp"

#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>
#include <system_error>
#include <thread>

#include "base/file.hpp"

namespace pv::domain {
namespace {

std::atomic<int> wake_fd{-1};
static_assert(std::atomic<int>::is_always_lock_free);

extern "C" void on_child(int) {
    const int saved = errno;
    const std::uint64_t one = 1;
    [[maybe_unused]] const ssize_t put = ::write(wake_fd.load(), &one, sizeof one);
    errno = saved;
}

std::string name_of(const std::filesystem::path& task) {
    std::string name;
    std::ifstream file(task / "comm");
    std::getline(file, name);
    return name;
}

bool has_name_of_ours(pid_t child) {
    const std::string name = name_of(std::filesystem::path("/proc") / std::to_string(child));
    std::error_code failure;
    const std::filesystem::directory_iterator tasks("/proc/self/task", failure);
    return std::any_of(begin(tasks), end(tasks),
                       [&](const auto& task) { return name_of(task.path()) == name; });
}

// How long to wait for the next look: a zombie that is somebody else's to reap can hide one of ours.
int reap() {
    for (;;) {
        siginfo_t found{};
        if (::waitid(P_ALL, 0, &found, WEXITED | WNOHANG | WNOWAIT) != 0 || found.si_pid == 0) {
            return -1;
        }
        const pid_t session = ::getsid(found.si_pid);
        if (session == ::getsid(0) || (session == found.si_pid && has_name_of_ours(found.si_pid))) {
            return 10;
        }
        ::waitpid(found.si_pid, nullptr, WNOHANG);
    }
}

}  // namespace

struct OrphanReaper::State {
    Descriptor wake{::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
    std::atomic<bool> ending{false};
    struct sigaction before{};
    int subreaper = 0;
    std::thread thread;

    void run() const {
        while (!ending) {
            pollfd entry{.fd = wake.get(), .events = POLLIN, .revents = 0};
            ::poll(&entry, 1, reap());
            std::uint64_t count = 0;
            [[maybe_unused]] const ssize_t got = ::read(wake.get(), &count, sizeof count);
        }
        reap();
    }
};

OrphanReaper::OrphanReaper() : state_(std::make_unique<State>()) {
    wake_fd = state_->wake.get();
    ::prctl(PR_GET_CHILD_SUBREAPER, &state_->subreaper);
    ::prctl(PR_SET_CHILD_SUBREAPER, 1);
    struct sigaction action{};
    action.sa_handler = on_child;
    action.sa_flags = SA_RESTART | SA_NOCLDSTOP;
    sigemptyset(&action.sa_mask);
    ::sigaction(SIGCHLD, &action, &state_->before);
    state_->thread = std::thread([state = state_.get()] { state->run(); });
}

OrphanReaper::~OrphanReaper() {
    state_->ending = true;
    const std::uint64_t one = 1;
    [[maybe_unused]] const ssize_t put = ::write(state_->wake.get(), &one, sizeof one);
    state_->thread.join();
    ::sigaction(SIGCHLD, &state_->before, nullptr);
    ::prctl(PR_SET_CHILD_SUBREAPER, state_->subreaper);
    wake_fd = -1;
}

}  // namespace pv::domain
