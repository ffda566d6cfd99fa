// Numbers of a trace as people read them.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "store/results.hpp"

namespace pv::report {

/// 1204 as "1,204".
std::string count_text(std::uint64_t value);
/// "1 finding", "2 findings": `unit` is singular, an s is added.
std::string plural_text(std::uint64_t value, std::string_view unit);
/// Microseconds as "850 µs", "12.4 ms", "3.02 s"; negative ones with a minus.
std::string duration_text(std::int64_t microseconds);
/// Microseconds since the first event as "1.234567 s".
std::string moment_text(std::int64_t microseconds);
/// A PCI address as Linux prints it: "0000:00:10.0". `bdf` as in paravane/marker.h.
std::string bdf_text(std::uint32_t bdf);
/// "0x1f3000".
std::string hex_text(std::uint64_t value);
/// The name of the device at `bdf`, escaped and at most 40 characters long; its PCI address when it has none.
std::string device_text(const std::vector<store::Device>& devices, std::uint32_t bdf);
/// The finding's title, escaped, beginning with its rule.
std::string title_text(const store::Finding& finding);

}  // namespace pv::report
