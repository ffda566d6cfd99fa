/* One load of system calls, as the first program of a guest: LOAD COUNT. Prints `operations N nanoseconds T`
 * and powers off.
 * SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static void null_calls(long count) {
    for (long i = 0; i < count; ++i) {
        syscall(SYS_getppid);
    }
}

static void clocks(long count) {
    struct timespec time;
    for (long i = 0; i < count; ++i) {
        clock_gettime(CLOCK_MONOTONIC, &time);
    }
}

static void clock_calls(long count) {
    struct timespec time;
    for (long i = 0; i < count; ++i) {
        syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &time);
    }
}

static void pipes(long count) {
    int there[2];
    int back[2];
    char byte = 0;
    if (pipe(there) != 0 || pipe(back) != 0) {
        exit(1);
    }
    const pid_t child = fork();
    if (child == 0) {
        for (long i = 0; i < count; ++i) {
            if (read(there[0], &byte, 1) != 1 || write(back[1], &byte, 1) != 1) {
                _exit(1);
            }
        }
        _exit(0);
    }
    for (long i = 0; i < count; ++i) {
        if (write(there[1], &byte, 1) != 1 || read(back[0], &byte, 1) != 1) {
            exit(1);
        }
    }
    waitpid(child, NULL, 0);
}

static _Atomic int turn;

static void play(int side, long count) {
    for (long i = 0; i < count; ++i) {
        while (atomic_load(&turn) != side) {
            syscall(SYS_futex, &turn, FUTEX_WAIT_PRIVATE, 1 - side, NULL, NULL, 0);
        }
        atomic_store(&turn, 1 - side);
        syscall(SYS_futex, &turn, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
    }
}

static void* other_side(void* count) {
    play(1, *(long*)count);
    return NULL;
}

static void futexes(long count) {
    pthread_t thread;
    pthread_create(&thread, NULL, other_side, &count);
    play(0, count);
    pthread_join(thread, NULL);
}

static void* yields(void* count) {
    for (long i = 0; i < *(long*)count; ++i) {
        sched_yield();
    }
    return NULL;
}

/* One processor, so that each goes on when the other one is through. */
static void switches(long count) {
    cpu_set_t first;
    CPU_ZERO(&first);
    CPU_SET(0, &first);
    pthread_t thread;
    if (sched_setaffinity(0, sizeof first, &first) != 0) {
        exit(1);
    }
    pthread_create(&thread, NULL, yields, &count);
    yields(&count);
    pthread_join(thread, NULL);
}

static void forks(long count) {
    for (long i = 0; i < count; ++i) {
        const pid_t child = fork();
        if (child == 0) {
            _exit(0);
        }
        waitpid(child, NULL, 0);
    }
}

static void programs(long count) {
    char* const words[] = {"init", "nothing", NULL};
    for (long i = 0; i < count; ++i) {
        const pid_t child = fork();
        if (child == 0) {
            execv("/init", words);
            _exit(1);
        }
        waitpid(child, NULL, 0);
    }
}

static void faults(long count) {
    enum { PAGES = 1024 };

    for (long i = 0; i < count; i += PAGES) {
        char* p = mmap(NULL, PAGES * 4096UL, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        madvise(p, PAGES * 4096UL, MADV_NOHUGEPAGE);
        for (long j = 0; j < PAGES; ++j) {
            p[j * 4096] = 1;
        }
        munmap(p, PAGES * 4096UL);
    }
}

static void* nothing(void* argument) {
    return argument;
}

static void threads(long count) {
    for (long i = 0; i < count; ++i) {
        pthread_t thread;
        pthread_create(&thread, NULL, nothing, NULL);
        pthread_join(thread, NULL);
    }
}

static void files(long count) {
    struct stat found;
    for (long i = 0; i < count; ++i) {
        close(open("/f", O_CREAT | O_WRONLY, 0600));
        if (stat("/f", &found) != 0 || unlink("/f") != 0) {
            exit(1);
        }
    }
}

static const struct {
    const char* name;
    void (*run)(long count);
} loads[] = {
    {"null", null_calls}, {"pipe", pipes},    {"futex", futexes},         {"switch", switches},
    {"fork", forks},      {"exec", programs}, {"fault", faults},          {"thread", threads},
    {"file", files},      {"clock", clocks},  {"clockcall", clock_calls},
};

int main(int count, char** words) {
    if (count == 2 && strcmp(words[1], "nothing") == 0) {
        return 0;
    }
    const long operations = count > 2 ? atol(words[2]) : 0;
    for (size_t i = 0; i < sizeof loads / sizeof loads[0]; ++i) {
        if (count > 2 && strcmp(words[1], loads[i].name) == 0) {
            struct timespec begin;
            struct timespec end;
            clock_gettime(CLOCK_MONOTONIC, &begin);
            loads[i].run(operations);
            clock_gettime(CLOCK_MONOTONIC, &end);
            printf("operations %ld nanoseconds %ld\n", operations,
                   (long)((end.tv_sec - begin.tv_sec) * 1000000000 + end.tv_nsec - begin.tv_nsec));
            fflush(stdout);
        }
    }
    reboot(RB_POWER_OFF); /* where there is none, the first program's end is the machine's */
    return 0;
}
