// Starting the test guests' second processor.
// SPDX-License-Identifier: MIT
#ifndef PARAVANE_TEST_SECOND_H
#define PARAVANE_TEST_SECOND_H

#include <stddef.h>
#include <stdint.h>

extern const char ap_start[], ap_end[];

static inline void apic_write(uint32_t offset, uint32_t value) {
    *(volatile uint32_t*)(0xfee00000ULL + offset) = value;
}

/// Begins at 0x8000 (entry.S), where ap_main is called on a stack of its own.
static inline void start_processor(void) {
    for (ptrdiff_t i = 0; i < ap_end - ap_start; ++i) {
        ((volatile char*)0x8000)[i] = ap_start[i];
    }
    apic_write(0xf0, 0x1ff);
    apic_write(0x310, 1U << 24);
    apic_write(0x300, 0x4500);  // INIT
    apic_write(0x310, 1U << 24);
    apic_write(0x300, 0x4608);  // start up at 0x8000
}

#endif
