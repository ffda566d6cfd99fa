// What an analysis asks of the trace beside its events: interned texts, device names, symbols.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "store/results.hpp"

namespace pv::checks {

/// Functions may be empty: then nothing is known.
struct Context {
    std::function<std::string(std::uint64_t)> text;    ///< an interned text; "" when there is none
    std::function<std::string(std::uint64_t)> symbol;  ///< "nvme_submit+0x1c"; "" when not known
    std::vector<store::Device> devices;
};

}  // namespace pv::checks
