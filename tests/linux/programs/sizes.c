/* When memory comes in large pages, and that they go back whole: what only our kernel is asked.
 *
 * SPDX-License-Identifier: MIT */
#include "free_pages.h"
#include "say.h"

#include <sys/mman.h>
#include <sys/prctl.h>

enum { page = 4096, large = 2 << 20 };

/* KiB of a file of /proc that has "Name:  number kB". */
static long told(const char* file, const char* name) {
    char line[200];
    long value = -1;
    FILE* in = fopen(file, "r");
    while (in != NULL && fgets(line, sizeof line, in) != NULL) {
        if (strncmp(line, name, strlen(name)) == 0 && line[strlen(name)] == ':') {
            value = strtol(line + strlen(name) + 1, NULL, 10);
        }
    }
    if (in != NULL) {
        fclose(in);
    }
    return value;
}

static void say_large(const char* what) {
    printf("%s: %ld kB\n", what, told("/proc/self/smaps_rollup", "AnonHugePages"));
    fflush(stdout);
}

static char* room(size_t bytes, int rights) {
    char* got = mmap(NULL, bytes + large, rights, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (got == MAP_FAILED) {
        perror("room");
        exit(1);
    }
    return got + (large - (uintptr_t)got % large) % large;
}

static void in_child(void) {
    say_large("in a child");
}

static void nothing(void) {}

static void parts(void) {
    char* at = room(4 * large, PROT_READ | PROT_WRITE);
    say("only read", at[large]);
    at[3 * page] = 1;
    at[large] = 1;
    at[2 * large] = 1;
    at[3 * large] = 1;
    say_large("three of four written first");
    printf("of all: %ld kB\n", told("/proc/meminfo", "AnonHugePages"));
    mprotect(at + 2 * large, large, PROT_READ);
    say_large("one of them read-only");
    mprotect(at + 2 * large, large, PROT_READ | PROT_WRITE);
    at[2 * large] = 2;
    say_large("and written again");
    mprotect(at + 3 * large + page, page, PROT_READ);
    say_large("a page of one read-only");
    munmap(at + 2 * large - page, 2 * page);
    say_large("a page of another unmapped");
    run_child(in_child);
    say_large("after a child");
    madvise(at, large, MADV_DONTNEED);
    at[0] = 1;
    say_large("dropped and written");
    munmap(at, 4 * large);
    say_large("unmapped");
}

static void wishes(void) {
    char* at = room(2 * large, PROT_READ | PROT_WRITE);
    madvise(at, large, MADV_NOHUGEPAGE);
    at[0] = 1;
    say_large("not wanted");
    prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0);
    at[large] = 1;
    say_large("switched off");
    prctl(PR_SET_THP_DISABLE, 0, 0, 0, 0);
    char* both = room(large, PROT_READ | PROT_WRITE);
    both[0] = 1;
    say_large("switched on");
    char* shared = mmap(NULL, 2 * large, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    memset(shared, 1, 2 * large);
    say_large("shared");
    madvise(both + page, page, MADV_DONTFORK);
    say_large("a page not for children");
}

/* With less than half of memory free only what is advised comes large, and with little, nothing does. */
static void scarce(void) {
    const long all = told("/proc/meminfo", "MemTotal");
    char* most = room((size_t)all * 1024, PROT_READ | PROT_WRITE);
    size_t used = 0;
    while (told("/proc/meminfo", "MemFree") > all / 2) {
        memset(most + used, 1, large);
        used += large;
    }
    const long before = told("/proc/self/smaps_rollup", "AnonHugePages");
    most[used] = 1;
    say("unadvised", told("/proc/self/smaps_rollup", "AnonHugePages") - before);
    madvise(most + used + large, large, MADV_HUGEPAGE);
    most[used + large] = 1;
    say("advised", told("/proc/self/smaps_rollup", "AnonHugePages") - before);
}

static void often(void) {
    for (int i = 0; i < 40; ++i) {
        char* at = room(2 * large, PROT_READ | PROT_WRITE);
        memset(at, 1, 2 * large);
        mprotect(at + page * (i + 1), page, PROT_READ);
        if (i % 2 == 0) {
            munmap(at + page * 3, 9 * page);
            run_child(nothing);
        }
        munmap(at, 2 * large);
    }
}

int main(void) {
    parts();
    say("wishes", run_child(wishes));
    say("scarce", run_child(scarce));
    often();
    const long before = free_pages();
    often();
    often();
    const long lost = before - free_pages();
    if (lost < 50) {
        printf("lost: nothing\n");
    } else {
        printf("lost: %ld pages\n", lost);
    }
    return 0;
}
