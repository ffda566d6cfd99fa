// One line of QEMU's log in the form of its own trace events, built without allocation.
// SPDX-License-Identifier: MIT
#pragma once

#include <sys/time.h>
#include <unistd.h>

#include <array>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace pv::plugin {

/// `THREAD@SECONDS.MICROSECONDS:NAME key value ...`. What does not fit is left out whole, never torn: the
/// longest line the plugin writes takes half the room.
class Line {
  public:
    /// Begins a line with the calling thread and the wall clock, as QEMU's `-msg timestamp=on` does.
    explicit Line(std::string_view name) {
        static thread_local const int thread = gettid();
        timeval now{};
        gettimeofday(&now, nullptr);
        begin(thread, now.tv_sec, now.tv_usec, name);
    }

    Line(int thread, std::int64_t seconds, std::int64_t microseconds, std::string_view name) {
        begin(thread, seconds, microseconds, name);
    }

    Line& decimal(std::string_view key, std::uint64_t value) { return word(key).number(value, 10); }

    Line& hex(std::string_view key, std::uint64_t value) { return word(key).number(value, 16); }

    /// A key alone; numbers may follow.
    Line& word(std::string_view text) { return put(" ").put(text); }

    /// One more number after a word, with a space before it.
    Line& number(std::uint64_t value, int base) {
        std::array<char, 24> digits;
        const auto result = std::to_chars(digits.data(), digits.data() + digits.size(), value, base);
        put(base == 16 ? " 0x" : " ");
        return put({digits.data(), static_cast<std::size_t>(result.ptr - digits.data())});
    }

    /// The line with its newline, NUL-terminated: what qemu_plugin_outs takes. Valid as long as this object.
    const char* finish() {
        text_[length_] = '\n';
        text_[length_ + 1] = '\0';
        return text_.data();
    }

    [[nodiscard]] std::string_view view() const { return {text_.data(), length_}; }

  private:
    void begin(int thread, std::int64_t seconds, std::int64_t microseconds, std::string_view name) {
        std::array<char, 24> digits;
        const auto append = [&](std::int64_t value, std::size_t width) {
            const auto result = std::to_chars(digits.data(), digits.data() + digits.size(), value);
            const auto length = static_cast<std::size_t>(result.ptr - digits.data());
            for (std::size_t i = length; i < width; ++i) {
                put("0");
            }
            put({digits.data(), length});
        };
        append(thread, 0);
        put("@");
        append(seconds, 0);
        put(".");
        append(microseconds, 6);
        put(":").put(name);
    }

    Line& put(std::string_view text) {
        if (text.size() <= text_.size() - 2 - length_) {
            text.copy(text_.data() + length_, text.size());
            length_ += text.size();
        }
        return *this;
    }

    std::array<char, 512> text_;
    std::size_t length_ = 0;
};

}  // namespace pv::plugin
