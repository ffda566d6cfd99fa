// The progress line.
// SPDX-License-Identifier: MIT
#include "cli/progress.hpp"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cstdio>

#include "base/terminal.hpp"

namespace pv::cli {
namespace {

std::size_t width() {
    winsize size{};
    return ::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 10 ? size.ws_col : 80U;
}

}  // namespace

Progress::Progress(bool enabled) : enabled_(enabled && is_terminal(STDERR_FILENO)) {}

Progress::~Progress() {
    clear();
}

void Progress::show(std::string_view text) {
    const auto now = Clock::now();
    if (!enabled_ || now - started_ < std::chrono::seconds(1) ||
        now - last_ < std::chrono::milliseconds(200)) {
        return;
    }
    last_ = now;
    shown_ = true;
    fmt::print(stderr, "\r\x1b[K{}", escape_for_terminal(text.substr(0, width() - 1)));
    std::fflush(stderr);
}

void Progress::clear() {
    if (shown_) {
        fmt::print(stderr, "\r\x1b[K");
        std::fflush(stderr);
        shown_ = false;
    }
}

}  // namespace pv::cli
