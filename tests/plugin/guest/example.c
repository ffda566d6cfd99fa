// The example of docs/markers.md: a foreign driver's read, marked. Compiled and run by plugin.qemu.
// SPDX-License-Identifier: MIT
#include "example.h"

#include "paravane/marker.h"

enum { disk = 0x80 };  // PCI 00:10.0: segment << 16 | bus << 8 | device << 3 | function

// Once, before the first device is touched. Promise only what is marked everywhere.
static void say_hello(void) {
    PV_MARK(hello, PV_MARKER_VERSION, PV_FEATURE_DMA | PV_FEATURE_COMMANDS, 100000000, 0, 0, 0);
}

// Where the kernel gives memory to a device: dma_map_page() and its kin.
static uint64_t map(uint64_t address, uint64_t length, enum pv_dma_direction direction) {
    static uint64_t last;
    const uint64_t id = ++last;  // never used again; on several CPUs an atomic counter
    PV_MARK(dma_map, disk, id, address, address, length, direction);
    return id;
}

// Where it takes the memory back, after the IOMMU or the driver has made sure.
static void unmap(uint64_t id, uint64_t address, uint64_t length) {
    PV_MARK(dma_unmap, disk, id, address, length, 0, 0);
}

void example(void) {
    enum { queue = 1, command = 7, two_seconds = 2000000000 };

    say_hello();
    const uint64_t id = map(0x200000, 4096, PV_DMA_FROM_DEVICE);
    // Before the doorbell: from here on the device may work on it.
    PV_MARK(command_submit, disk, queue, command, PV_OPERATION_READ, two_seconds, 0);
    // ... the doorbell, the interrupt, the completion entry ...
    PV_MARK(command_complete, disk, queue, command, 0, 0, 0);
    unmap(id, 0x200000, 4096);
    PV_MARK(goodbye, 0, 0, 0, 0, 0, 0);  // right before the machine powers off
}
