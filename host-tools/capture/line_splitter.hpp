// Cuts a stream of bytes into lines, in a buffer that does not grow, whatever comes.
// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <span>
#include <string_view>
#include <vector>

namespace pv::capture {

/// Use: read into room(), then filled(count, on_line). A line longer than `max_line` is given once, by its
/// first bytes, as not whole; the rest of it is skipped.
class LineSplitter {
  public:
    enum class Whole : bool { no, yes };

    explicit LineSplitter(std::size_t max_line) : max_line_(max_line) {}

    /// Where the next bytes go: `size` of them. Valid until filled().
    [[nodiscard]] std::span<char> room(std::size_t size) {
        if (buffer_.size() < used_ + size) {
            buffer_.resize(used_ + size);  // used_ <= max_line_ here: bounded
        }
        return {buffer_.data() + used_, size};
    }

    /// `count` bytes of room() were filled: calls on_line(line, Whole) for each line, without its newline.
    template <class OnLine>
    void filled(std::size_t count, OnLine&& on_line) {
        const char* at = buffer_.data();
        const char* const end = at + used_ + count;
        const char* search = at + used_;  // what was there before holds no newline
        while (const void* found = std::memchr(search, '\n', static_cast<std::size_t>(end - search))) {
            const char* const newline = static_cast<const char*>(found);
            if (skipping_) {
                skipping_ = false;
            } else {
                const std::string_view line(at, static_cast<std::size_t>(newline - at));
                const bool whole = line.size() <= max_line_;
                on_line(whole ? line : line.substr(0, max_line_), whole ? Whole::yes : Whole::no);
            }
            at = search = newline + 1;
            if (at == end) {
                break;
            }
        }
        used_ = static_cast<std::size_t>(end - at);
        if (skipping_) {
            used_ = 0;
        } else if (used_ > max_line_) {
            on_line(std::string_view(at, max_line_), Whole::no);
            skipping_ = true;
            used_ = 0;
        } else {
            std::memmove(buffer_.data(), at, used_);
        }
    }

    /// What came after the last newline: the beginning of a line that never ended.
    [[nodiscard]] std::string_view remainder() const { return {buffer_.data(), used_}; }

  private:
    std::size_t max_line_;
    std::vector<char> buffer_;
    std::size_t used_ = 0;
    bool skipping_ = false;
};

}  // namespace pv::capture
