// What the exercise is asked to do: options of the command line, checked.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <string_view>

#include "base/result.hpp"
#include "base/time.hpp"

namespace pv::exercise {

/// docs/exercise.md says what each is for.
struct Plan {
    std::uint64_t threads = 4;    ///< a disk, 1 to 64
    std::uint64_t blocks = 1024;  ///< written and read by each thread in a round
    std::uint64_t size = 16384;   ///< bytes of a middling request
    std::uint64_t rounds = 1;
    std::uint64_t commands = 0;  ///< one-block reads of each disk on top
    std::uint64_t large = 0;     ///< bytes of the longest request; 0: what is somewhat more than one command
    std::uint64_t zeroes =
        0;  ///< Write Zeroes and discards of each thread on top, where the disk offers them
    std::uint64_t seed = 1;
    std::uint64_t give_up = 4;                  ///< timeouts after which a thread lets its disk be
    Duration deadline = Duration::seconds(2);   ///< of each request
    Duration limit = Duration::seconds(300);    ///< of the whole
    Duration shutdown = Duration::seconds(15);  ///< for commands still owed at the end
};

/// Parses `key:value,key:value`; an empty text is the default plan. Error: invalid_argument, with a line on
/// the console that names the word.
[[nodiscard]] Result<Plan> parse_plan(std::string_view text);

}  // namespace pv::exercise
