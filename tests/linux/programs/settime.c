/* The time of day is set again and again, always forwards, while threads read it by the vdso and by the call.
 * SPDX-License-Identifier: MIT */
#include "say.h"

#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

enum { READERS = 3, SETTINGS = 2000, LEAP = 3600 };

static _Atomic int64_t latest;
static _Atomic int backwards;
static _Atomic int done;
static _Atomic int ready;

static int64_t count(const struct timespec* time) {
    return time->tv_sec * 1000000000 + time->tv_nsec;
}

/* Who has seen a time that any other thread had never gets an earlier one. */
static void* chase(void* unused) {
    struct timespec time;
    atomic_fetch_add(&ready, 1);
    for (int i = 0; !atomic_load(&done); ++i) {
        int64_t seen = atomic_load(&latest);
        if (i % 2 == 0) {
            syscall(SYS_clock_gettime, CLOCK_REALTIME, &time);
        } else {
            clock_gettime(CLOCK_REALTIME, &time);
        }
        const int64_t now = count(&time);
        if (now < seen) {
            atomic_fetch_add(&backwards, 1);
        }
        while (seen < now && !atomic_compare_exchange_weak(&latest, &seen, now)) {
        }
    }
    return unused;
}

int main(void) {
    pthread_t readers[READERS];
    struct timespec begin;
    struct timespec time;
    int refused = 0;
    int old = 0;
    clock_gettime(CLOCK_REALTIME, &begin);
    for (int i = 0; i < READERS; ++i) {
        pthread_create(&readers[i], NULL, chase, NULL);
    }
    while (atomic_load(&ready) < READERS) {
    }
    for (int i = 0; i < SETTINGS; ++i) {
        clock_gettime(CLOCK_REALTIME, &time);
        time.tv_sec += LEAP;
        const int64_t wanted = count(&time);
        refused += clock_settime(CLOCK_REALTIME, &time) != 0;
        clock_gettime(CLOCK_REALTIME, &time);
        old += count(&time) < wanted;
    }
    done = 1;
    for (int i = 0; i < READERS; ++i) {
        pthread_join(readers[i], NULL);
    }
    clock_gettime(CLOCK_REALTIME, &time);
    printf("settings refused %d, not seen at once %d, backwards %d, all added %d\n", refused, old, backwards,
           time.tv_sec - begin.tv_sec >= (time_t)SETTINGS * LEAP);
    return 0;
}
