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
    std::function<std::string(std::uint64_t)> text;  ///< an interned text; "" when there is none
    /// What an address in the kernel is for the event of that number: "nvme_submit+0x1c"; "" when not known.
    std::function<std::string(std::uint64_t, std::int64_t)> symbol;
    std::vector<store::Device> devices;
};

}  // namespace pv::checks
