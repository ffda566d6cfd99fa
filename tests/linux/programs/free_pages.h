/* How much memory is free, for tests that nothing is lost.
 *
 * SPDX-License-Identifier: MIT */
#ifndef FREE_PAGES_H
#define FREE_PAGES_H

#include "say.h"

#include <sys/sysinfo.h>

/* Free pages of our kernel; 0 on another one, where others take and give as well. */
static inline long free_pages(void) {
    struct sysinfo info;
    sysinfo(&info);
    return is_our_kernel() ? (long)(info.freeram * info.mem_unit / 4096) : 0;
}

#endif
