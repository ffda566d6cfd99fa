// Time on processors, the kernel's part of it told apart.
// SPDX-License-Identifier: MIT
#pragma once

#include "base/time.hpp"

namespace pv {

/// `system` is part of `total`.
struct CpuTime {
    Duration total;
    Duration system;

    [[nodiscard]] constexpr Duration user() const { return total - system; }

    friend constexpr CpuTime operator+(const CpuTime& a, const CpuTime& b) {
        return {a.total + b.total, a.system + b.system};
    }
};

}  // namespace pv
