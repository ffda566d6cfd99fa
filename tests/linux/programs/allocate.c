/* Ordinary allocators: a hundred thousand allocations take few calls, in the main thread (brk) and in another
 * (mmap).
 * SPDX-License-Identifier: MIT */
#include "say.h"

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/ptrace.h>
#include <sys/wait.h>

enum { allocations = 100000, live_max = 1000, few = 400 };

/* Allocates and frees blocks of many sizes, and looks that none overlaps another. */
static void* work(void* broken) {
    static __thread unsigned char* blocks[live_max];
    static __thread size_t sizes[live_max];
    unsigned random = 1;
    for (unsigned i = 0; i < allocations; ++i) {
        random = random * 1664525 + 1013904223;
        const unsigned at = (random >> 8) % live_max;
        const unsigned char mark = (unsigned char)(at % 251);
        if (blocks[at] != NULL && (blocks[at][0] != mark || blocks[at][sizes[at] - 1] != mark)) {
            *(bool*)broken = true;
        }
        free(blocks[at]);
        sizes[at] = 16 + (random >> 16) % 2000;
        blocks[at] = malloc(sizes[at]);
        if (blocks[at] == NULL) {
            *(bool*)broken = true;
            return NULL;
        }
        memset(blocks[at], mark, sizes[at]);
    }
    return NULL;
}

static void child(bool in_thread) {
    bool broken = false;
    ptrace(PTRACE_TRACEME, 0, 0, 0);
    raise(SIGSTOP);
    if (in_thread) {
        pthread_t thread;
        pthread_create(&thread, NULL, work, &broken);
        pthread_join(thread, NULL);
    } else {
        work(&broken);
    }
    _exit(broken ? 1 : 0);
}

/* The calls of a child, counted by its tracer: two stops each. */
static void count(const char* what, bool in_thread) {
    fflush(stdout);
    const pid_t id = fork();
    if (id == 0) {
        child(in_thread);
    }
    int status = 0;
    waitpid(id, &status, 0);
    ptrace(PTRACE_SETOPTIONS, id, 0, PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACECLONE | PTRACE_O_EXITKILL);
    long stops = 0;
    pid_t who = id;
    int send = 0;
    while (ptrace(PTRACE_SYSCALL, who, 0, send) == 0 || who != id) {
        who = waitpid(-1, &status, __WALL);
        if (who < 0 || (who == id && !WIFSTOPPED(status))) {
            break;
        }
        if (WIFSTOPPED(status)) {
            const int signal = WSTOPSIG(status);
            stops += signal == (SIGTRAP | 0x80);
            send = signal == (SIGTRAP | 0x80) || signal == SIGTRAP || signal == SIGSTOP ? 0 : signal;
        }
    }
    printf("%s: %s calls\n", what, stops > 0 && stops / 2 <= few ? "few" : "many");
    say("status", status);
}

int main(void) {
    count("main thread", false);
    count("another thread", true);
    return 0;
}
