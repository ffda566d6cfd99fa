/* How the test programs tell results: the same words on every kernel.
 *
 * SPDX-License-Identifier: MIT */
#ifndef SAY_H
#define SAY_H

#define _GNU_SOURCE
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

/* "what: 0", "what: 17" or "what: EINVAL". Values that differ from run to run are told as yes or no instead.
 */
static inline void say(const char* what, long result) {
    if (result == -1) {
        printf("%s: %s\n", what, strerrorname_np(errno));
    } else {
        printf("%s: %ld\n", what, result);
    }
    fflush(stdout);
}

/* For results that are addresses or numbers of processes. */
static inline void say_done(const char* what, long result) {
    if (result == -1) {
        printf("%s: %s\n", what, strerrorname_np(errno));
    } else {
        printf("%s: done\n", what);
    }
    fflush(stdout);
}

/* For what another kernel answers as its machine's load will have it. */
static inline int is_our_kernel(void) {
    struct utsname names;
    uname(&names);
    return strstr(names.version, "paravane") != NULL;
}

/* Runs `work` in a process of its own: how that ended, as wait(2) tells it. */
static inline int run_child(void (*work)(void)) {
    int status = 0;
    fflush(stdout);
    const pid_t id = fork();
    if (id == 0) {
        work();
        fflush(stdout);
        _exit(0);
    }
    waitpid(id, &status, 0);
    return status;
}

#endif
