// Starts a program between pipes and waits for it.
// SPDX-License-Identifier: MIT
#include "images/process.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <utility>

#include "base/file.hpp"

namespace pv::images {
namespace {

using Clock = std::chrono::steady_clock;
using namespace std::chrono_literals;

constexpr std::size_t most_output = std::size_t{64} << 20;
constexpr std::size_t most_errors = std::size_t{64} << 10;

struct Pipe {
    Descriptor read;
    Descriptor write;
};

Result<Pipe> make_pipe() {
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0) {
        return fail(ExitStatus::unavailable, fmt::format("no pipe: {}", std::strerror(errno)),
                    "close other programs, or raise the limit of open files (ulimit -n)");
    }
    return Pipe{Descriptor(ends[0]), Descriptor(ends[1])};
}

// In the child, after fork: nothing here may allocate. Does not return.
[[noreturn]] void become(char* const* argv, char* const* environment, int output, int errors, int status,
                         pid_t parent) {
    ::setpgid(0, 0);
    ::prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (::getppid() != parent) {
        ::_exit(127);
    }
    const int nothing = ::open("/dev/null", O_RDONLY);
    // Copies above the standard ones first: a pipe may have one of their numbers.
    output = ::fcntl(output, F_DUPFD, 10);
    errors = ::fcntl(errors, F_DUPFD, 10);
    status = ::fcntl(status, F_DUPFD, 10);
    ::dup2(nothing, STDIN_FILENO);
    ::dup2(output, STDOUT_FILENO);
    ::dup2(errors, STDERR_FILENO);
    ::dup2(status, status_descriptor);
    ::close_range(status_descriptor + 1, ~0U, 0);
    sigset_t none;
    sigemptyset(&none);
    ::sigprocmask(SIG_SETMASK, &none, nullptr);
    ::signal(SIGPIPE, SIG_DFL);
    ::execvpe(argv[0], argv, environment);
    const char* words = std::strerror(errno);
    [[maybe_unused]] const ssize_t put = ::write(STDERR_FILENO, words, std::strlen(words));
    ::_exit(127);
}

// Ends a process group that is still running, politely first, and reaps its leader.
int end_group(pid_t leader) {
    int status = 0;
    ::kill(-leader, SIGTERM);
    for (int i = 0; i < 40; ++i) {
        if (::waitpid(leader, &status, WNOHANG) == leader) {
            ::kill(-leader, SIGKILL);  // what it left
            return status;
        }
        ::poll(nullptr, 0, 50);
    }
    ::kill(-leader, SIGKILL);
    ::waitpid(leader, &status, 0);
    return status;
}

std::vector<std::string> plain_environment() {
    std::vector<std::string> words;
    for (char** word = environ; *word != nullptr; ++word) {
        const std::string_view entry = *word;
        if (!entry.starts_with("LC_") && !entry.starts_with("LANG") && !entry.starts_with("APT_CONFIG=")) {
            words.emplace_back(entry);
        }
    }
    words.emplace_back("LC_ALL=C");
    words.emplace_back("DEBIAN_FRONTEND=noninteractive");
    return words;
}

std::vector<char*> pointers(const std::vector<std::string>& words) {
    std::vector<char*> list;
    for (const std::string& word : words) {
        list.push_back(const_cast<char*>(word.c_str()));  // execve's interface; it does not write
    }
    list.push_back(nullptr);
    return list;
}

void hand_out_lines(std::string& text, const std::function<void(std::string_view)>& on_line) {
    for (std::size_t end = text.find('\n'); end != std::string::npos; end = text.find('\n')) {
        if (on_line) {
            on_line(std::string_view(text).substr(0, end));
        }
        text.erase(0, end + 1);
    }
    if (text.size() > most_errors) {
        text.clear();
    }
}

}  // namespace

void Work::tell(std::string_view line) const {
    if (say) {
        say(line);
    }
}

bool Work::cancelled() const {
    pollfd entry{.fd = cancel, .events = POLLIN, .revents = 0};
    return cancel >= 0 && ::poll(&entry, 1, 0) > 0;
}

Error Work::given_up() {
    return {ExitStatus::interrupted, "interrupted", {}};
}

Result<Outcome> run_program(const std::vector<std::string>& arguments, std::chrono::seconds limit,
                            const Work& work, const std::function<void(std::string_view)>& on_status) {
    if (work.cancelled()) {
        return std::unexpected(Work::given_up());
    }
    Pipe output = PV_TRY(make_pipe());
    Pipe errors = PV_TRY(make_pipe());
    Pipe status = PV_TRY(make_pipe());
    const std::vector<std::string> environment = plain_environment();
    const std::vector<char*> argv = pointers(arguments);
    const std::vector<char*> envp = pointers(environment);
    const pid_t parent = ::getpid();
    const pid_t child = ::fork();
    if (child == 0) {
        become(argv.data(), envp.data(), output.write.get(), errors.write.get(), status.write.get(), parent);
    }
    if (child < 0) {
        return fail(ExitStatus::unavailable,
                    fmt::format("no process for {}: {}", arguments.front(), std::strerror(errno)),
                    "close other programs, or raise the limit of processes (ulimit -u)");
    }
    ::setpgid(child, child);  // whoever of both comes first
    output.write.reset();
    errors.write.reset();
    status.write.reset();

    Outcome outcome;
    std::string status_line;
    const auto deadline = Clock::now() + limit;
    std::array<int, 3> open = {output.read.get(), errors.read.get(), status.read.get()};
    while (std::ranges::any_of(open, [](int fd) { return fd >= 0; })) {
        std::array<pollfd, 4> entries{};
        for (std::size_t i = 0; i < open.size(); ++i) {
            entries.at(i) = {.fd = open.at(i), .events = POLLIN, .revents = 0};
        }
        entries[3] = {.fd = work.cancel, .events = POLLIN, .revents = 0};
        ::poll(entries.data(), entries.size(), 250);
        if (entries[3].revents != 0) {
            end_group(child);
            return std::unexpected(Work::given_up());
        }
        if (Clock::now() > deadline) {
            end_group(child);
            return fail(ExitStatus::unavailable,
                        fmt::format("{} did not end within {} s", arguments.front(), limit.count()),
                        "is the network slow or gone? What was fetched is kept: try again");
        }
        for (std::size_t i = 0; i < open.size(); ++i) {
            if (entries.at(i).revents == 0) {
                continue;
            }
            std::array<char, 16384> buffer{};
            const ssize_t got = ::read(open.at(i), buffer.data(), buffer.size());
            if (got <= 0) {
                open.at(i) = got < 0 && errno == EINTR ? open.at(i) : -1;
                continue;
            }
            const std::string_view bytes(buffer.data(), static_cast<std::size_t>(got));
            if (i == 0) {
                outcome.output += bytes.substr(0, most_output - std::min(most_output, outcome.output.size()));
            } else if (i == 1) {
                outcome.errors += bytes;
                outcome.errors.erase(0, outcome.errors.size() - std::min(outcome.errors.size(), most_errors));
            } else {
                status_line += bytes;
                hand_out_lines(status_line, on_status);
            }
        }
    }
    // Its pipes are closed: it has ended, or does not talk any more and will not be waited for long.
    int ended = 0;
    pid_t reaped = 0;
    for (int i = 0; i < 200 && (reaped = ::waitpid(child, &ended, WNOHANG)) == 0; ++i) {
        ::poll(nullptr, 0, 10);
    }
    if (reaped == 0) {
        ended = end_group(child);
    }
    outcome.status = WIFEXITED(ended) ? WEXITSTATUS(ended) : 128 + WTERMSIG(ended);
    if (outcome.status == 127) {
        return fail(ExitStatus::unavailable,
                    fmt::format("'{}' cannot be started: {}", arguments.front(), outcome.errors),
                    fmt::format("it is needed here; on Debian: apt-get install {}",
                                arguments.front() == "apt-get" ? "apt" : arguments.front()));
    }
    return outcome;
}

}  // namespace pv::images
