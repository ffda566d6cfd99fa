// posix_spawn, because the tool has threads; the pid is only used while it cannot be another's.
// SPDX-License-Identifier: MIT
#include "faults/child.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

namespace pv::faults {

Descriptor::Descriptor(Descriptor&& other) noexcept : value_(std::exchange(other.value_, -1)) {}

Descriptor& Descriptor::operator=(Descriptor&& other) noexcept {
    std::swap(value_, other.value_);
    return *this;
}

Descriptor::~Descriptor() {
    reset();
}

void Descriptor::reset() {
    if (value_ >= 0) {
        close(std::exchange(value_, -1));
    }
}

Child::~Child() {
    kill();
    reap();
}

Result<> Child::start(const std::vector<std::string>& arguments) {
    std::array<int, 2> control{};
    std::array<int, 2> errors{};
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, control.data()) != 0) {
        return fail(ExitStatus::unavailable, fmt::format("no socket pair: {}", std::strerror(errno)),
                    "close other programs, or raise the limit of open files (ulimit -n)");
    }
    control_ = Descriptor{control[0]};
    const Descriptor control_child{control[1]};
    if (pipe2(errors.data(), O_CLOEXEC) != 0) {
        return fail(ExitStatus::unavailable, fmt::format("no pipe: {}", std::strerror(errno)),
                    "close other programs, or raise the limit of open files (ulimit -n)");
    }
    errors_ = Descriptor{errors[0]};
    const Descriptor errors_child{errors[1]};

    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    // The error pipe first: its number may be the one the control connection goes to.
    posix_spawn_file_actions_adddup2(&actions, errors_child.get(), STDERR_FILENO);
    posix_spawn_file_actions_adddup2(&actions, control_child.get(), control_in_child);
    posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_addclosefrom_np(&actions, control_in_child + 1);

    posix_spawnattr_t attributes;
    posix_spawnattr_init(&attributes);
    sigset_t none;
    sigset_t all;
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &all);
    posix_spawnattr_setpgroup(&attributes, 0);
    posix_spawnattr_setflags(&attributes,
                             POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);

    std::vector<char*> argv;
    for (const std::string& argument : arguments) {
        argv.push_back(const_cast<char*>(argument.c_str()));  // execve's interface; it does not write
    }
    argv.push_back(nullptr);
    pid_t pid = -1;
    const int error = posix_spawnp(&pid, argv[0], &actions, &attributes, argv.data(), environ);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    if (error != 0) {
        return fail(ExitStatus::unavailable,
                    fmt::format("{} cannot be started: {}", arguments.front(), std::strerror(error)),
                    "install it: apt-get install nbdkit");
    }
    const std::scoped_lock hold{lock_};
    pid_ = pid;
    return {};
}

pid_t Child::pid() {
    const std::scoped_lock hold{lock_};
    return pid_;
}

void Child::kill() {
    const std::scoped_lock hold{lock_};
    if (pid_ > 0) {
        ::kill(pid_, SIGKILL);
    }
}

void Child::reap() {
    const pid_t child = pid();
    if (child <= 0) {
        return;
    }
    // Waits without reaping, so that kill() never sees a number that may be another process's already.
    siginfo_t info{};
    while (waitid(P_PID, static_cast<id_t>(child), &info, WEXITED | WNOWAIT) != 0 && errno == EINTR) {
    }
    const std::scoped_lock hold{lock_};
    if (pid_ == child) {
        waitpid(child, nullptr, 0);
        pid_ = -1;
    }
}

}  // namespace pv::faults
