// Runs a program and reads what it says.
// SPDX-License-Identifier: MIT
#include "domain/program.hpp"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>

#include "base/file.hpp"
#include "domain/socket.hpp"

namespace pv::domain {

using namespace std::chrono_literals;

ProgramOutput run_program(const std::vector<std::string>& words, std::string_view input) {
    ProgramOutput output;
    int ends[2] = {-1, -1};
    int inputs[2] = {-1, -1};
    if (::pipe2(ends, O_CLOEXEC) != 0 || ::pipe2(inputs, O_CLOEXEC) != 0) {
        return output;
    }
    const Descriptor reading(ends[0]);
    Descriptor writing(ends[1]);
    const Descriptor given(inputs[0]);
    Descriptor giving(inputs[1]);
    [[maybe_unused]] const ssize_t put = ::write(giving.get(), input.data(), input.size());
    giving.reset();
    std::vector<char*> arguments;
    for (const std::string& word : words) {
        arguments.push_back(const_cast<char*>(word.c_str()));  // posix_spawn does not write to them
    }
    arguments.push_back(nullptr);
    posix_spawn_file_actions_t actions;
    ::posix_spawn_file_actions_init(&actions);
    ::posix_spawn_file_actions_adddup2(&actions, given.get(), STDIN_FILENO);
    ::posix_spawn_file_actions_adddup2(&actions, writing.get(), STDOUT_FILENO);
    ::posix_spawn_file_actions_adddup2(&actions, writing.get(), STDERR_FILENO);
    pid_t child = -1;
    const int problem =
        ::posix_spawn(&child, words.front().c_str(), &actions, nullptr, arguments.data(), environ);
    ::posix_spawn_file_actions_destroy(&actions);
    writing.reset();
    if (problem != 0) {
        output.text = std::strerror(problem);
        return output;
    }
    const auto deadline = std::chrono::steady_clock::now() + 10s;
    std::array<char, 4096> buffer{};
    for (;;) {
        const auto left =
            std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
        if (left <= 0ms || !readable(reading.get(), left)) {
            ::kill(child, SIGKILL);
            output.text += " (no end within ten seconds)";
            break;
        }
        const ssize_t got = ::read(reading.get(), buffer.data(), buffer.size());
        if (got <= 0) {
            break;
        }
        if (output.text.size() < 65'536) {
            output.text.append(buffer.data(), static_cast<std::size_t>(got));
        }
    }
    int status = 0;
    while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    output.status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    return output;
}

}  // namespace pv::domain
