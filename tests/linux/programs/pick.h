/* What random sequences of calls are made from: a generator with a fixed seed, arguments it picks, and how a
 * step's result is told.
 *
 * SPDX-License-Identifier: MIT */
#ifndef PICK_H
#define PICK_H

#include "say.h"

#include <sys/stat.h>

#define ROOM 4096

static uint64_t state;
static unsigned step;
static unsigned char buffer[ROOM];

static uint64_t next(void) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

static unsigned below(unsigned n) {
    return (unsigned)((next() >> 20) % n);
}

#define PICK(list) ((list)[below(sizeof(list) / sizeof *(list))])

/* Mostly one that is open; at times nonsense. */
static int descriptor(void) {
    static const int odd[] = {-1, -100, 99, 1000000, 19};
    return below(12) == 0 ? PICK(odd) : 3 + (int)below(14);
}

static const char* path(void) {
    static const char* const paths[] = {"a", "b", "c",    "d",  "d/a", "d/b", "d/e", "d/e/f", "l",   "d/l",
                                        "m", ".", "d/..", "a/", "d/",  "",    "a/x", "none",  "l/x", "d/e/g"};
    return PICK(paths);
}

/* S_IFMT of what is behind a descriptor: 0 for eventfd and its kin, -1 for nothing. */
static int kind_of(int fd) {
    struct stat facts;
    return fstat(fd, &facts) == 0 ? (int)(facts.st_mode & S_IFMT) : -1;
}

static unsigned hash(const void* data, size_t length) {
    unsigned sum = 2166136261U;
    for (size_t i = 0; i < length; ++i) {
        sum = (sum ^ ((const unsigned char*)data)[i]) * 16777619U;
    }
    return sum;
}

static void fill(size_t length) {
    for (size_t i = 0; i < length; ++i) {
        buffer[i] = (unsigned char)(step + i);
    }
}

static size_t length(void) {
    static const size_t lengths[] = {0, 1, 2, 7, 8, 9, 100, 511, 512, 1000, 4095, 4096};
    return PICK(lengths);
}

static off_t offset(void) {
    static const off_t offsets[] = {0,    1,    5,     100,   511,    512, 4095,
                                    4096, 4097, 10000, 65536, 100000, -1,  -4096};
    return PICK(offsets);
}

static void tell(const char* what, int a, long b, long result) {
    char line[96];
    snprintf(line, sizeof line, "%u %s %d %ld", step, what, a, b);
    say(line, result);
}

static void tell_path(const char* what, const char* name, long b, long result) {
    char line[96];
    snprintf(line, sizeof line, "%u %s '%s' %lo", step, what, name, b);
    say(line, result);
}

static void tell_data(const void* data, long size) {
    if (size > 0) {
        printf("  data %08x\n", hash(data, (size_t)size));
    }
}

#endif
