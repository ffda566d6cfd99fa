// How the test build makes allocations fail.
// SPDX-License-Identifier: MIT
#pragma once

namespace pv::memory {

/// Defined in the test build only: whether this allocation, of frames or from the heap, is to fail. Any
/// context.
[[gnu::weak]] bool refuse_allocation();

/// False in every other build.
[[nodiscard]] inline bool is_refused() {
    return refuse_allocation != nullptr && refuse_allocation();
}

}  // namespace pv::memory
