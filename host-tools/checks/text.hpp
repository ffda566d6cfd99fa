// Numbers, times and places in the words of a finding.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "checks/model/types.hpp"

namespace pv::checks {

class World;

/// "1,204".
[[nodiscard]] std::string grouped(std::uint64_t number);
/// "1 byte", "1,204 bytes": `plural` is the noun with its s.
[[nodiscard]] std::string counted(std::uint64_t number, std::string_view plural);
/// Microseconds as "40 µs", "2.1 ms", "3.0 s".
[[nodiscard]] std::string duration(std::int64_t microseconds);
/// Nanoseconds as a marker gives them, in the same form.
[[nodiscard]] std::string duration_of(std::uint64_t nanoseconds);
/// "slack: the guest's 100.0 ms, and 250.0 ms for the host": what was added to a deadline before it was
/// judged.
[[nodiscard]] std::string slack_text(const World& world, std::int64_t host);
/// "1.234567 s, cpu 0, in nvme_read+0x1c (0xffffffff80101234), event 1204".
[[nodiscard]] std::string where(const World& world, const Place& place);
/// "read of 4,096 bytes on queue 1 (id 5)".
[[nodiscard]] std::string describe(const Command& command);
/// "mapping 17, 4,096 bytes at 0x1f3000, from the device".
[[nodiscard]] std::string describe(const Mapping& mapping);

}  // namespace pv::checks
