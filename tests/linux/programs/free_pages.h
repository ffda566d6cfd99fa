/* How much memory is free, for tests that nothing is lost.
 *
 * SPDX-License-Identifier: MIT */
#ifndef FREE_PAGES_H
#define FREE_PAGES_H

#include "say.h"

#include <sys/sysinfo.h>
#include <sys/utsname.h>

/* Free pages of our kernel; 0 on another one, where others take and give as well. */
static inline long free_pages(void) {
    struct utsname names;
    struct sysinfo info;
    uname(&names);
    sysinfo(&info);
    return strstr(names.version, "paravane") == NULL ? 0 : (long)(info.freeram * info.mem_unit / 4096);
}

#endif
