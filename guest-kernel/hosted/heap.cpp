// The host's heap keeps no figures of the kernel's kind.
// SPDX-License-Identifier: MIT
#include "memory/heap.hpp"

namespace pv::memory {

HeapStatistics heap_statistics() {
    return {};
}

}  // namespace pv::memory
