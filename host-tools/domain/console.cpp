// Reads the serial port's socket in a thread.
// SPDX-License-Identifier: MIT
#include "domain/console.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <condition_variable>
#include <cstring>
#include <mutex>
#include <thread>

#include "base/file.hpp"
#include "domain/socket.hpp"

namespace pv::domain {

struct Console::State {
    Descriptor listener;
    Descriptor guest;
    Descriptor file;
    Descriptor stop;
    OnOutput on_output;
    std::thread reader;
    mutable std::mutex lock;
    std::condition_variable changed;
    bool ended = false;
    std::size_t written = 0;
    std::uint64_t total = 0;
    std::string tail;

    // false: told to stop, or the descriptor failed.
    bool wait_readable(int descriptor) const {
        for (;;) {
            std::array<pollfd, 2> entries = {pollfd{.fd = descriptor, .events = POLLIN, .revents = 0},
                                             pollfd{.fd = stop.get(), .events = POLLIN, .revents = 0}};
            if (::poll(entries.data(), entries.size(), -1) < 0) {
                if (errno == EINTR) {
                    continue;
                }
                return false;
            }
            if (entries[0].revents != 0) {
                return true;
            }
            if (entries[1].revents != 0) {
                return false;
            }
        }
    }

    void run() {
        if (wait_readable(listener.get())) {
            {
                const std::lock_guard guard(lock);
                guest.reset(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
            }
            std::array<char, 8192> buffer{};
            while (guest && wait_readable(guest.get())) {
                const ssize_t got = ::recv(guest.get(), buffer.data(), buffer.size(), 0);
                if (got < 0 && errno == EINTR) {
                    continue;
                }
                if (got <= 0) {
                    break;
                }
                take(std::string_view(buffer.data(), static_cast<std::size_t>(got)));
            }
        }
        const std::lock_guard guard(lock);
        ended = true;
        changed.notify_all();
    }

    void take(std::string_view bytes) {
        {
            const std::lock_guard guard(lock);
            const std::string_view kept = bytes.substr(0, std::min(bytes.size(), console_head - written));
            // A full disk costs the console's file, not the run: the tail is still there.
            const ssize_t put = kept.empty() ? 0 : ::write(file.get(), kept.data(), kept.size());
            written += put > 0 ? static_cast<std::size_t>(put) : 0;
            total += bytes.size();
            tail += bytes;
            if (tail.size() > 2 * console_tail) {
                tail.erase(0, tail.size() - console_tail);
            }
        }
        if (on_output) {
            on_output(bytes);
        }
    }

    void close_file() {
        const std::lock_guard guard(lock);
        if (!file) {
            return;
        }
        if (total > written) {
            const std::size_t missing = static_cast<std::size_t>(total - written);
            const std::size_t shown = std::min({missing, tail.size(), console_tail});
            const std::string rest = fmt::format("\n[paravane: {} bytes of the console were not kept]\n{}",
                                                 missing - shown, tail.substr(tail.size() - shown));
            [[maybe_unused]] const ssize_t put = ::write(file.get(), rest.data(), rest.size());
        }
        file.reset();
    }
};

Console::Console(std::unique_ptr<State> state) : state_(std::move(state)) {}

Result<std::unique_ptr<Console>> Console::listen(const std::filesystem::path& socket,
                                                 const std::filesystem::path& file, OnOutput on_output) {
    auto state = std::make_unique<State>();
    state->listener = PV_TRY(listen_at(socket));
    state->file.reset(::open(file.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
    state->stop.reset(::eventfd(0, EFD_CLOEXEC));
    if (!state->file || !state->stop) {
        return fail(
            ExitStatus::unavailable,
            fmt::format("the console's file '{}' cannot be made: {}", file.string(), std::strerror(errno)),
            "is the folder writable, and not full?");
    }
    state->on_output = std::move(on_output);
    State& inner = *state;
    std::unique_ptr<Console> console(new Console(std::move(state)));
    inner.reader = std::thread([&inner] { inner.run(); });
    return console;
}

Console::~Console() {
    if (state_->reader.joinable()) {
        const std::uint64_t one = 1;
        [[maybe_unused]] const ssize_t put = ::write(state_->stop.get(), &one, sizeof one);
        state_->reader.join();
    }
    state_->close_file();
}

std::size_t Console::type(std::string_view bytes) {
    const std::lock_guard guard(state_->lock);
    if (!state_->guest || bytes.empty()) {
        return 0;
    }
    const ssize_t sent = ::send(state_->guest.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    return sent > 0 ? static_cast<std::size_t>(sent) : 0;
}

void Console::finish(std::chrono::milliseconds limit) {
    {
        std::unique_lock guard(state_->lock);
        state_->changed.wait_for(guard, limit, [&] { return state_->ended; });
    }
    state_->close_file();
}

std::string Console::tail() const {
    const std::lock_guard guard(state_->lock);
    const std::string& text = state_->tail;
    return text.size() > console_tail ? text.substr(text.size() - console_tail) : text;
}

}  // namespace pv::domain
