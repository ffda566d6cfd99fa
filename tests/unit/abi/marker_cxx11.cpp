// A marker emitted from C++11, with a call as an argument: compiled here, its bytes are read by
// marker_test.cpp.
// SPDX-License-Identifier: MIT
#include "paravane/marker.h"

uint64_t marker_argument(uint64_t value);
void marker_from_cxx11(uint64_t device);

void marker_from_cxx11(uint64_t device) {
    PV_MARK(dma_unmap, device, marker_argument(1), marker_argument(2), marker_argument(3), marker_argument(4),
            marker_argument(5));
}
