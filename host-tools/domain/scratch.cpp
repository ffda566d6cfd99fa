// Temporary folder with a guardian process.
// SPDX-License-Identifier: MIT
#include "domain/scratch.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <string_view>
#include <thread>

#include "base/file.hpp"

namespace pv::domain {
namespace {

using namespace std::chrono_literals;

// sun_path has 108 bytes (unix(7)); libvirt appends up to 60 for its monitor socket.
constexpr std::size_t longest_folder = 40;
constexpr std::size_t most_arguments = std::size_t{2} << 20;
constexpr char dismissed = 'q';

// Kills until two looks, 20 ms apart, find nothing: a process caught between fork and exec does not yet have
// its own arguments.
void kill_processes_naming(const std::string& word, std::chrono::milliseconds limit) {
    const auto deadline = std::chrono::steady_clock::now() + limit;
    int quiet = 0;
    while (quiet < 2 && std::chrono::steady_clock::now() < deadline) {
        const std::vector<pid_t> found = processes_naming(word);
        quiet = found.empty() ? quiet + 1 : 0;
        for (const pid_t process : found) {
            ::kill(process, SIGKILL);
        }
        std::this_thread::sleep_for(20ms);
    }
}

// The guardian's whole life. It has a session of its own, so that a signal to the tool's group misses it.
[[noreturn]] void guard(int lifeline, const std::filesystem::path& folder) {
    ::setsid();
    ::prctl(PR_SET_NAME, "paravane-guard");
    for (const int number : {SIGINT, SIGTERM, SIGHUP, SIGPIPE, SIGQUIT}) {
        ::signal(number, SIG_IGN);
    }
    // Nothing of the tool's is kept open: its output pipes must see their end when the tool ends.
    if (const int null = ::open("/dev/null", O_RDWR); null >= 0) {
        for (const int standard : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
            ::dup2(null, standard);
        }
    }
    ::dup2(lifeline, 3);
    ::close_range(4, ~0U, 0);
    [[maybe_unused]] const int moved = ::chdir("/");
    char word = 0;
    ssize_t got = 0;
    do {
        got = ::read(3, &word, 1);
    } while (got < 0 && errno == EINTR);
    if (got == 1 && word == dismissed) {
        ::_exit(0);
    }
    kill_processes_naming(folder.string(), 10s);
    std::error_code ignored;
    std::filesystem::remove_all(folder, ignored);
    ::_exit(0);
}

Result<std::filesystem::path> make_folder() {
    // A folder that was chosen is used or refused: another one may be on a disk that is full, or shared.
    const char* chosen = std::getenv("TMPDIR");
    const bool usable = chosen != nullptr && chosen[0] == '/' && std::strlen(chosen) + 12 <= longest_folder;
    const std::string place = usable ? chosen : "/tmp";
    std::string name = place + "/pv-XXXXXX";
    if (::mkdtemp(name.data()) != nullptr) {
        return std::filesystem::path(name);
    }
    return fail(ExitStatus::unavailable,
                fmt::format("no temporary folder could be made in {}: {}", place, std::strerror(errno)),
                "set TMPDIR to a folder you may write to, with a path of at most 28 characters");
}

}  // namespace

std::vector<pid_t> processes_naming(const std::string& word) {
    std::vector<pid_t> found;
    std::error_code problem;
    for (auto entry = std::filesystem::directory_iterator("/proc", problem);
         !problem && entry != std::filesystem::directory_iterator(); entry.increment(problem)) {
        const std::string number = entry->path().filename().string();
        pid_t process = 0;
        const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), process);
        if (error != std::errc() || *end != '\0' || process == ::getpid()) {
            continue;
        }
        // A process that ends meanwhile names nothing.
        const auto arguments = read_regular(entry->path() / "cmdline", "process", most_arguments);
        if (arguments && arguments->find(word) != std::string::npos) {
            found.push_back(process);
        }
    }
    return found;
}

Result<std::unique_ptr<Scratch>> Scratch::create() {
    std::unique_ptr<Scratch> scratch(new Scratch());
    int ends[2] = {-1, -1};
    if (::pipe2(ends, O_CLOEXEC) != 0) {
        return fail(ExitStatus::unavailable, fmt::format("no pipe: {}", std::strerror(errno)),
                    "too many open files? `ulimit -n`");
    }
    Descriptor reading(ends[0]);
    scratch->lifeline_.reset(ends[1]);
    scratch->path_ = PV_TRY(make_folder());
    const pid_t child = ::fork();
    if (child == 0) {
        guard(reading.get(), scratch->path_);
    }
    scratch->guardian_ = child;
    if (child < 0) {
        return fail(ExitStatus::unavailable,
                    fmt::format("no process could be started: {}", std::strerror(errno)),
                    "too many processes? `ulimit -u`");
    }
    return scratch;
}

Scratch::~Scratch() {
    if (!path_.empty()) {
        kill_processes_naming(path_.string(), 5s);
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }
    if (guardian_ > 0) {
        // SIGPIPE cannot come: the guardian holds the other end until it has read this.
        [[maybe_unused]] const ssize_t written = ::write(lifeline_.get(), &dismissed, 1);
        lifeline_.reset();
        while (::waitpid(guardian_, nullptr, 0) < 0 && errno == EINTR) {
        }
    }
}

std::string Scratch::id() const {
    return path_.filename().string().substr(3);
}

std::uint64_t Scratch::free_bytes() const {
    struct statvfs status{};

    if (::statvfs(path_.c_str(), &status) != 0) {
        return 0;
    }
    return static_cast<std::uint64_t>(status.f_bavail) * status.f_frsize;
}

}  // namespace pv::domain
