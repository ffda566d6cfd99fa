/* A marker emitted from C11: compiled here, its bytes are read by marker_test.cpp.
 * SPDX-License-Identifier: MIT */
#include "paravane/marker.h"

void marker_from_c11(uint64_t device);

void marker_from_c11(uint64_t device) {
    PV_MARK(dma_map, device, 2, 3, 4, 5, PV_DMA_TO_DEVICE);
}
