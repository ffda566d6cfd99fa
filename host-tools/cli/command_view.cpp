// Cuts a console's bytes at the lines that /init prints.
// SPDX-License-Identifier: MIT
#include "cli/command_view.hpp"

#include <algorithm>
#include <cstddef>

#include "paravane/image.h"

namespace pv::cli {
namespace {

constexpr std::string_view starting = "\n" PV_IMAGE_STARTING;
constexpr std::string_view ending = "\n" PV_IMAGE_STATUS;
constexpr std::size_t most_boot = std::size_t{1} << 20;  // kept of a boot, its end
constexpr std::size_t most_last_words = 2'048;

// The length of the longest end of `text` that `ending`, with or without the carriage return before it,
// begins with.
std::size_t begun(std::string_view text) {
    for (std::size_t length = std::min(text.size(), ending.size()); length > 0; --length) {
        if (text.ends_with(ending.substr(0, length))) {
            const bool carriage = text.size() > length && text[text.size() - length - 1] == '\r';
            return length + (carriage ? 1 : 0);
        }
    }
    return text.ends_with('\r') ? 1 : 0;
}

}  // namespace

void CommandView::show(std::string_view bytes) {
    held_ += bytes;
    if (!started()) {
        const std::size_t line = held_.find(starting);
        const std::size_t end = line == std::string::npos ? line : held_.find('\n', line + starting.size());
        if (end == std::string::npos) {
            held_.erase(0, held_.size() - std::min(held_.size(), most_boot));
            return;
        }
        held_.erase(0, end + 1);
        started_.store(true, std::memory_order_release);
    }
    pass();
}

void CommandView::pass() {
    while (!held_.empty()) {
        if (at_end_) {
            if (held_.size() <= most_last_words) {
                return;
            }
            // A status line in the middle of a command's output.
            const std::size_t line = std::min(held_.find('\n', ending.size()), held_.size());
            put_(std::string_view(held_).substr(0, line));
            held_.erase(0, line);
            at_end_ = false;
        }
        std::size_t end = held_.find(ending);
        at_end_ = end != std::string::npos;
        if (at_end_) {
            end -= end > 0 && held_[end - 1] == '\r' ? 1U : 0U;
        } else {
            end = held_.size() - begun(held_);
        }
        if (end > 0) {
            put_(std::string_view(held_).substr(0, end));
            held_.erase(0, end);
        }
        if (!at_end_) {
            return;
        }
    }
}

void CommandView::finish() {
    if (!at_end_ && !held_.empty()) {
        put_(held_);
    }
    held_.clear();
}

}  // namespace pv::cli
