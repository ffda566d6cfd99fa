/* Threads: locks, conditions, vector registers that are each thread's own.
 * SPDX-License-Identifier: MIT */
#include "say.h"

#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <time.h>

enum { THREADS = 8, ROUNDS = 2000 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static long total;
static int turn;
static _Thread_local int own = 5;

static void* add(void* argument) {
    (void)argument;
    for (int i = 0; i < ROUNDS; ++i) {
        pthread_mutex_lock(&lock);
        ++total;
        pthread_mutex_unlock(&lock);
    }
    ++own;
    return (void*)(long)own;
}

static void* take_turns(void* argument) {
    const int me = (int)(long)argument;
    for (int i = 0; i < 200; ++i) {
        pthread_mutex_lock(&lock);
        while (turn % 2 != me) {
            pthread_cond_wait(&changed, &lock);
        }
        ++turn;
        pthread_cond_signal(&changed);
        pthread_mutex_unlock(&lock);
    }
    return NULL;
}

/* Keeps a pattern in vector registers while others run. */
static void* keep(void* argument) {
    const uint64_t pattern = 0x0101010101010101ULL * (uint64_t)(long)argument;
    long wrong = 0;
    for (int i = 0; i < 200; ++i) {
        uint64_t seen = 0;
        __asm__ volatile("movq %1, %%xmm7\n\tmovl %2, %%eax\n\tsyscall\n\tmovq %%xmm7, %0"
                         : "=r"(seen)
                         : "r"(pattern), "i"(SYS_sched_yield)
                         : "rax", "rcx", "r11", "xmm7", "memory");
        wrong += seen != pattern;
    }
    return (void*)wrong;
}

static long each(void* (*f)(void*), int n) {
    pthread_t threads[THREADS];
    long sum = 0;
    for (int i = 0; i < n; ++i) {
        if (pthread_create(&threads[i], NULL, f, (void*)(long)i) != 0) {
            printf("no thread\n");
        }
    }
    for (int i = 0; i < n; ++i) {
        void* result = NULL;
        pthread_join(threads[i], &result);
        sum += (long)result;
    }
    return sum;
}

static void words(void) {
    int word = 1;
    struct timespec moment = {0, 20000000};
    say("FUTEX_WAIT, another value", syscall(SYS_futex, &word, FUTEX_WAIT, 2, NULL));
    say("FUTEX_WAIT until a time", syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 1, &moment));
    say("FUTEX_WAKE of nobody", syscall(SYS_futex, &word, FUTEX_WAKE, 1));
    say("FUTEX_WAIT_BITSET without bits", syscall(SYS_futex, &word, FUTEX_WAIT_BITSET, 1, &moment, NULL, 0));
    say("unaligned", syscall(SYS_futex, (char*)&word + 1, FUTEX_WAIT, 1, NULL));
    say("unmapped", syscall(SYS_futex, 8, FUTEX_WAIT, 1, NULL));
    say("kernel half", syscall(SYS_futex, 0xffff800000000000, FUTEX_WAIT, 1, NULL));
    moment.tv_nsec = -1;
    say("bad time", syscall(SYS_futex, &word, FUTEX_WAIT, 1, &moment));
}

static void* hold_and_end(void* argument) {
    pthread_mutex_lock(argument);
    return NULL;
}

static void robust(void) {
    pthread_mutexattr_t attributes;
    pthread_mutex_t held;
    pthread_mutexattr_init(&attributes);
    pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
    pthread_mutex_init(&held, &attributes);
    pthread_t thread;
    pthread_create(&thread, NULL, hold_and_end, &held);
    pthread_join(thread, NULL);
    say("lock of one that ended", pthread_mutex_lock(&held) == EOWNERDEAD);
    say("made consistent", pthread_mutex_consistent(&held));
    say("unlock", pthread_mutex_unlock(&held));
}

int main(void) {
    say("thread results", each(add, THREADS));
    say("total", total);
    say("own", own);
    each(take_turns, 2);
    say("turns", turn);
    say("vector registers lost", each(keep, THREADS));
    words();
    robust();
    return 0;
}
