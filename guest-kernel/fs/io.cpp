// Zeros into a target.
// SPDX-License-Identifier: MIT
#include "fs/io.hpp"

#include <array>

namespace pv::fs {

Outcome<std::size_t> Target::put_zeros(std::size_t count) {
    static constexpr std::array<std::byte, 512> zeros{};
    std::size_t done = 0;
    while (done < count) {
        const std::size_t part = std::min(count - done, zeros.size());
        const Outcome<std::size_t> put_now = put(std::span(zeros).first(part));
        if (!put_now) {
            return done != 0 ? Outcome<std::size_t>(done) : put_now;
        }
        done += *put_now;
        if (*put_now < part) {
            break;
        }
    }
    return done;
}

}  // namespace pv::fs
