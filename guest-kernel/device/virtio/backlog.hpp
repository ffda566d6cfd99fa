// Lines of the log on their way to a mirror.
// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace pv::virtio {

/// A ring of characters. A line that does not fit is dropped whole and counted. Not synchronised.
template <std::size_t Capacity>
class Backlog {
  public:
    /// Takes `line` and a line end behind it.
    void put(std::string_view line) {
        if (line.size() + 1 > Capacity - count_) {
            ++dropped_;
            return;
        }
        for (const char c : line) {
            push(c);
        }
        push('\n');
    }

    /// Moves what there is into `out`, as far as it goes; returns how much.
    [[nodiscard]] std::size_t take(std::span<char> out) {
        const std::size_t given = std::min(out.size(), count_);
        for (std::size_t i = 0; i < given; ++i) {
            out[i] = text_[(first_ + i) % Capacity];
        }
        first_ = (first_ + given) % Capacity;
        count_ -= given;
        return given;
    }

    [[nodiscard]] std::uint64_t dropped() const { return dropped_; }

  private:
    void push(char c) { text_[(first_ + count_++) % Capacity] = c; }

    std::array<char, Capacity> text_{};
    std::size_t first_ = 0;
    std::size_t count_ = 0;
    std::uint64_t dropped_ = 0;
};

}  // namespace pv::virtio
