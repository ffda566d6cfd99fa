// The time line of what went wrong, as lines of text.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "report/summary.hpp"

namespace pv::report {

/// One strip a device with a letter where something happened, the scale below it, then the entries in words,
/// at most 40 of them. Nothing when no entry is trouble (weight_of): a quiet run needs no time line. `width`:
/// columns of the strips and the words.
std::vector<std::string> timeline_lines(const Summary& summary, std::size_t width);

}  // namespace pv::report
