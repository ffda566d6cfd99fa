/* Ten thousand processes and a hundred thousand descriptors at once; a million opens and a hundred thousand
 * births, and memory is as it was (LEDGER R2, R7). With SOME a small part of each.
 * SPDX-License-Identifier: MIT */
#include "free_pages.h"
#include "say.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>

/* Stocks and slabs are not given back to the last page: `few` pages are far less than one for each turn. */
#ifdef SOME
enum { processes = 300, descriptors = 3000, opens = 50000, births = 2000, few = 400 };
#else
enum { processes = 10000, descriptors = 100000, opens = 1000000, births = 100000, few = 1000 };
#endif

static void allow(int what, rlim_t count) {
    const struct rlimit limit = {count, count};
    if (setrlimit(what, &limit) != 0) {
        printf("limit %d: errno %d\n", what, errno);
    }
}

static void processes_at_once(void) {
    int ends[2];
    if (pipe(ends) != 0) {
        return;
    }
    int begun = 0;
    for (; begun < processes; ++begun) {
        const pid_t child = fork();
        if (child == 0) {
            char end;
            close(ends[1]);
            _exit(read(ends[0], &end, 1) == 0 ? 7 : 1);
        }
        if (child < 0) {
            printf("fork: errno %d\n", errno);
            break;
        }
    }
    close(ends[1]); /* the word to all of them */
    close(ends[0]);
    int well = 0;
    int status = 0;
    while (wait(&status) > 0) {
        well += WIFEXITED(status) && WEXITSTATUS(status) == 7;
    }
    printf("%d processes at once, %d of them ended well\n", begun, well);
    fflush(stdout);
}

static void descriptors_at_once(void) {
    int* const held = malloc(descriptors * sizeof *held); /* not there any more when children are born */
    int count = 0;
    while (count < descriptors && (held[count] = open("/dev/null", O_RDONLY)) >= 0) {
        ++count;
    }
    if (count < descriptors) {
        printf("open: errno %d\n", errno);
    }
    int closed = 0;
    for (int i = 0; i < count; ++i) {
        closed += close(held[i]) == 0;
    }
    free(held);
    printf("%d descriptors at once, %d of them closed\n", count, closed);
    fflush(stdout);
}

static void opens_in_turn(void) {
    int good = 0;
    for (int i = 0; i < opens; ++i) {
        const int file = open("/dev/null", O_RDONLY);
        good += file >= 0 && close(file) == 0;
    }
    printf("%d opened and closed\n", good);
    fflush(stdout);
}

static void births_in_turn(void) {
    int good = 0;
    for (int i = 0; i < births; ++i) {
        const pid_t child = fork();
        if (child == 0) {
            _exit(0);
        }
        int status = 1;
        good += child > 0 && waitpid(child, &status, 0) == child && status == 0;
    }
    printf("%d born and ended\n", good);
    fflush(stdout);
}

static void leaves_nothing(const char* what, void (*act)(void)) {
    const long before = free_pages();
    act();
    long lost = before - free_pages();
    for (int i = 0; i < 100 && lost >= few; ++i) { /* the last ones may still be on their way */
        usleep(50 * 1000);
        lost = before - free_pages();
    }
    printf("%s: %s\n", what, lost < few ? "memory is as it was" : "memory is LOST");
    if (lost >= few) {
        printf("%ld pages\n", lost);
    }
    fflush(stdout);
}

int main(void) {
    allow(RLIMIT_NPROC, processes + 16);
    allow(RLIMIT_NOFILE, descriptors + 16);
    processes_at_once();
    descriptors_at_once();
    /* Stocks and tables that stay have grown: from here on nothing does. */
    leaves_nothing("processes", processes_at_once);
    leaves_nothing("descriptors", descriptors_at_once);
    leaves_nothing("opens", opens_in_turn);
    leaves_nothing("births", births_in_turn);
    return 0;
}
