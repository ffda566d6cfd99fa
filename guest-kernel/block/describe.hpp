// How commands read on the console.
// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/format.hpp"
#include "base/marker.hpp"

namespace pv::block {

constexpr std::string_view to_string(marker::Operation operation) {
    switch (operation) {
        case marker::Operation::other:
            return "command";
        case marker::Operation::read:
            return "read";
        case marker::Operation::write:
            return "write";
        case marker::Operation::flush:
            return "flush";
        case marker::Operation::discard:
            return "discard";
        case marker::Operation::write_zeroes:
            return "write zeroes";
        case marker::Operation::send:
            return "send";
        case marker::Operation::admin:
            return "admin command";
    }
    return "command";
}

/// "read lba 57, 8 blocks", "flush", "admin command": for one line of the log.
class Description {
  public:
    Description(marker::Operation operation, std::uint64_t first, std::uint64_t blocks)
        : length_{(blocks == 0
                       ? format::to(text_, "{}", to_string(operation))
                       : format::to(text_, "{} lba {}, {} blocks", to_string(operation), first, blocks))
                      .size()} {}

    [[nodiscard]] std::string_view text() const { return {text_.data(), length_}; }

  private:
    std::array<char, 80> text_{};
    std::size_t length_;
};

}  // namespace pv::block
