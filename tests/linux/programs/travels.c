/* A program that was on every processor and stays on one: those that it left are asked nothing.
 *
 * SPDX-License-Identifier: MIT */
#include "say.h"

#include <sched.h>
#include <sys/mman.h>
#include <time.h>

enum { TURNS = 500 };

/* Shootdowns that processors were interrupted for, all together. */
static long shootdowns(void) {
    char line[4096];
    long all = -1;
    FILE* in = fopen("/proc/interrupts", "r");
    while (in != NULL && fgets(line, sizeof line, in) != NULL) {
        if (strncmp(line, "TLB:", 4) == 0) {
            char* at = line + 4;
            char* end = NULL;
            all = 0;
            for (long one = strtol(at, &end, 10); end != at; one = strtol(at, &end, 10)) {
                all += one;
                at = end;
            }
        }
    }
    if (in != NULL) {
        fclose(in);
    }
    return all;
}

static void go_to(int processor) {
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(processor, &one);
    if (sched_setaffinity(0, sizeof one, &one) != 0) {
        say("sched_setaffinity", -1);
        exit(1);
    }
}

int main(void) {
    const int processors = (int)sysconf(_SC_NPROCESSORS_ONLN);
    volatile char* page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    for (int i = processors - 1; i >= 0; --i) {
        go_to(i);
        page[0] = (char)i;
    }
    /* So that nothing is under way there any more. */
    const struct timespec rest = {0, 50 * 1000 * 1000};
    nanosleep(&rest, NULL);
    const long before = shootdowns();
    for (int i = 0; i < TURNS; ++i) {
        mprotect((void*)page, 4096, PROT_READ);
        mprotect((void*)page, 4096, PROT_READ | PROT_WRITE);
        page[0] = (char)i;
    }
    const long all = shootdowns() - before;
    printf("counted: %s\n", before >= 0 ? "yes" : "no");
    if (processors > 1) {
        printf("others were asked at the first change: %s\n", all >= 1 ? "yes" : "no");
    }
    if (all > 2L * processors) {
        printf("and again: %ld times\n", all);
    }
    return 0;
}
