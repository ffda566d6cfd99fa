// Input for a guest's console.
// SPDX-License-Identifier: MIT
#include "cli/typing.hpp"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <string_view>

namespace pv::cli {
namespace {

constexpr char leave_key = 0x1d;  // Ctrl-]
constexpr std::size_t most_pending = std::size_t{64} << 10;

}  // namespace

Typing::Typing(domain::Console& console, const WaitOptions& options)
    : console_(console),
      options_(options),
      input_(options.input),
      terminal_(input_ >= 0 && ::isatty(input_) == 1) {}

bool Typing::ready() const {
    return !options_.ready || options_.ready();
}

int Typing::input() const {
    // A terminal is read at once, for Ctrl-]; a pipe waits with its bytes.
    return terminal_ || (pending_.empty() && ready()) ? input_ : -1;
}

bool Typing::waits() const {
    return !pending_.empty() || (input_ >= 0 && !ready());
}

void Typing::take() {
    std::array<char, 4096> buffer{};
    const ssize_t got = ::read(input_, buffer.data(), buffer.size());
    if (got < 0 && (errno == EINTR || errno == EAGAIN)) {
        return;
    }
    if (got <= 0) {
        input_ = -1;
        // A line that is not finished is handed over by the first, the end is said by the second.
        pending_ = line_ended_ ? options_.end_of_input : options_.end_of_input + options_.end_of_input;
        return;
    }
    std::string_view typed(buffer.data(), static_cast<std::size_t>(got));
    line_ended_ = typed.back() == '\n';
    if (const std::size_t leave = typed.find(leave_key); terminal_ && leave != std::string_view::npos) {
        left_ = true;
        typed = typed.substr(0, leave);
    }
    // A guest that does not read gets no more from a keyboard than this.
    pending_ += typed.substr(0, most_pending - std::min(most_pending, pending_.size()));
}

void Typing::pass_on() {
    if (!pending_.empty() && ready()) {
        pending_.erase(0, console_.type(pending_));
    }
}

}  // namespace pv::cli
