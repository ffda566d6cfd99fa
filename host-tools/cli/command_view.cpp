// Cuts a console's bytes at the lines that /init prints.
// SPDX-License-Identifier: MIT
#include "cli/command_view.hpp"

#include <algorithm>
#include <cstddef>

#include "paravane/image.h"

namespace pv::cli {
namespace {

constexpr std::string_view starting = "\n" PV_IMAGE_STARTING;
constexpr std::string_view status_line = "\n" PV_IMAGE_STATUS;
constexpr std::size_t most_boot = std::size_t{1} << 20;  // kept of a boot, its end
constexpr std::size_t most_last_words = 2'048;

struct End {
    std::size_t at;      ///< where the command's output ends; the length of all where it goes on
    std::size_t length;  ///< of what ends it; 0: not all of that has come
};

// A terminal makes the line feed two bytes.
End find_end(std::string_view text) {
    for (std::size_t at = text.find(PV_IMAGE_END); at < text.size(); at = text.find(PV_IMAGE_END, at + 1)) {
        std::string_view rest = text.substr(at + 1);
        rest.remove_prefix(rest.starts_with('\r') ? 1 : 0);
        if (rest.starts_with(status_line)) {
            return {at, text.size() - rest.size() - at + status_line.size()};
        }
        if (status_line.starts_with(rest)) {
            return {at, 0};
        }
    }
    return {text.size(), 0};
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
            const std::size_t line = std::min(held_.find('\n', find_end(held_).length), held_.size());
            put_(std::string_view(held_).substr(0, line));
            held_.erase(0, line);
            at_end_ = false;
        }
        const End end = find_end(held_);
        at_end_ = end.length > 0;
        if (end.at > 0) {
            put_(std::string_view(held_).substr(0, end.at));
            held_.erase(0, end.at);
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
