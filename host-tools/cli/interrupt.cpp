// Signal handlers that only count and write to an eventfd.
// SPDX-License-Identifier: MIT
#include "cli/interrupt.hpp"

#include <fmt/format.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstring>

namespace pv::cli {
namespace {

// Lock-free, so the handler may touch them; sig_atomic_t alone would not do for other threads.
std::atomic<int> event_fd{-1};
std::atomic<int> seen{0};
std::atomic<int> first{0};
static_assert(std::atomic<int>::is_always_lock_free);

extern "C" void on_signal(int number) {
    const int saved = errno;
    int none = 0;
    first.compare_exchange_strong(none, number);
    seen.fetch_add(1, std::memory_order_relaxed);
    const std::uint64_t one = 1;
    // A full counter still leaves the descriptor readable: nothing to do about a failed write.
    [[maybe_unused]] const ssize_t written = ::write(event_fd.load(), &one, sizeof one);
    errno = saved;
}

}  // namespace

void catch_interrupts() {
    if (event_fd.load() >= 0) {
        return;
    }
    event_fd.store(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));

    struct sigaction action{};

    action.sa_handler = on_signal;
    sigemptyset(&action.sa_mask);
    action.sa_flags = SA_RESTART;
    for (const int number : {SIGINT, SIGTERM, SIGHUP}) {
        struct sigaction before{};

        // A signal that whoever started us chose to ignore (nohup) stays ignored.
        if (::sigaction(number, nullptr, &before) == 0 && before.sa_handler != SIG_IGN) {
            ::sigaction(number, &action, nullptr);
        }
    }

    // A reader of our output that goes away is an error of that write, not the end of a run with a guest in
    // it.
    struct sigaction ignore{};

    ignore.sa_handler = SIG_IGN;
    ::sigaction(SIGPIPE, &ignore, nullptr);
}

int interrupt_fd() {
    return event_fd.load(std::memory_order_relaxed);
}

int interrupt_count() {
    return seen.load(std::memory_order_relaxed);
}

int interrupt_signal() {
    return first.load(std::memory_order_relaxed);
}

Error interrupted() {
    const int number = interrupt_signal();
    return {static_cast<ExitStatus>(128 + number),
            fmt::format("interrupted ({})", number == 0 ? "no signal" : ::strsignal(number)),
            {}};
}

}  // namespace pv::cli
