// The kernel heap's figures. Memory itself comes through operator new (std::nothrow).
// SPDX-License-Identifier: MIT
#pragma once

#include "memory/slab.hpp"

namespace pv::memory {

[[nodiscard]] HeapStatistics heap_statistics();

/// Gives this CPU's stock and all empty slabs but one a class back to the frames.
void drain_heap();

}  // namespace pv::memory
