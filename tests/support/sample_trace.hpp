// Judged traces made by hand for tests of the reports: what a run with a stall looks like, a hostile one, a
// long one.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "base/error.hpp"

namespace pv::test {

inline constexpr std::uint32_t disk0 = 0x10U << 3U;  ///< NVMe
inline constexpr std::uint32_t disk1 = 0x18U << 3U;  ///< virtio-blk

/// Ends an element, starts another, and turns direction and colours of what follows: for every field a guest
/// chooses.
inline const std::string hostile_text =
    "</script><img src=x onerror=\"window.pwned=1\"><!-- \x1b[31mred\x1b[0m \u202Eevil\u2066 \xff\xfe {b|x} "
    "${1}\r";

struct SampleOptions {
    bool findings = true;          ///< two findings and the stall's time line; else a pass
    bool known = false;            ///< the second finding is suppressed; two other entries did nothing
    bool hostile = false;          ///< names, reasons and console are hostile_text
    std::uint64_t events = 4'000;  ///< about that many
    std::uint64_t commands = 600;
    std::uint64_t queues = 1;  ///< of disk0
    std::uint64_t cpus = 2;
    std::int64_t idle = 0;  ///< microseconds in which nothing happens before the last event
};

/// Writes the trace `path` and its results. It must not exist.
Result<> write_sample_trace(const std::filesystem::path& path, const SampleOptions& options = {});

}  // namespace pv::test
