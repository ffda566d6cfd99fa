/* What niceness does, and whose time is the kernel's.
 * SPDX-License-Identifier: MIT */
#include "say.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/times.h>
#include <sys/wait.h>
#include <time.h>

static volatile unsigned long number;
static int base; /* whoever runs this may be nice already */

static void compute(void) {
    for (int i = 0; i < 20000; ++i) {
        number = number + 1;
    }
}

static long in_ms(struct timeval time) {
    return (long)time.tv_sec * 1000 + (long)time.tv_usec / 1000;
}

/* Two that never wait, on one processor: how much more the first got. */
static void race(const char* what, void (*one)(void), void (*other)(void)) {
    struct timespec from = {0};
    struct timespec time = {0};
    long long ran[2] = {0};
    pid_t children[2];
    cpu_set_t set;
    fflush(stdout);
    CPU_ZERO(&set);
    CPU_SET(0, &set);
    volatile int* const go = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    for (int i = 0; i < 2; ++i) {
        children[i] = fork();
        if (children[i] == 0) {
            sched_setaffinity(0, sizeof set, &set);
            (i == 0 ? one : other)();
            while (*go == 0) {
                sched_yield();
            }
            for (;;) {
                compute();
            }
        }
    }
    *go = 1;
    clock_gettime(CLOCK_MONOTONIC, &from);
    do {
        usleep(20000);
        for (int i = 0; i < 2; ++i) {
            clockid_t clock = 0;
            clock_getcpuclockid(children[i], &clock);
            clock_gettime(clock, &time);
            ran[i] = time.tv_sec * 1000000000LL + time.tv_nsec;
        }
    } while (ran[0] + ran[1] < 1200000000LL);
    for (int i = 0; i < 2; ++i) {
        kill(children[i], SIGKILL);
        waitpid(children[i], NULL, 0);
    }
    printf("%s: %s\n", what, ran[0] * 2 > ran[1] * 3 ? "more" : ran[0] * 3 > ran[1] * 2 ? "as much" : "less");
}

static void usual(void) {}

static void nice_10(void) {
    setpriority(PRIO_PROCESS, 0, base + 10);
}

static void nice_5(void) {
    setpriority(PRIO_PROCESS, 0, base + 5);
}

static void idle(void) {
    const struct sched_param none = {0};
    sched_setscheduler(0, SCHED_IDLE, &none);
}

static void batch(void) {
    const struct sched_param none = {0};
    sched_setscheduler(0, SCHED_BATCH, &none);
}

static void policies(void) {
    struct sched_param none = {0};
    say("policy", sched_getscheduler(0));
    say("batch", sched_setscheduler(0, SCHED_BATCH, &none));
    say("is", sched_getscheduler(0));
    say("a child's", fork() == 0 ? (_exit(sched_getscheduler(0)), 0) : 0);
    int status = 0;
    wait(&status);
    printf("%d\n", WEXITSTATUS(status));
    say("no such policy", sched_setscheduler(0, 77, &none));
    say("negative", sched_setscheduler(0, -1, &none));
    none.sched_priority = 3;
    say("with a priority", sched_setscheduler(0, SCHED_OTHER, &none));
    none.sched_priority = 0;
    say("without", sched_setparam(0, &none));
    say("still", sched_getscheduler(0));
    say("other", sched_setscheduler(0, SCHED_OTHER, &none));
    say("of nobody", sched_setscheduler(4000000, SCHED_OTHER, &none));
}

static void say_times(const char* what) {
    struct rusage usage;
    struct tms ticks;
    getrusage(RUSAGE_SELF, &usage);
    times(&ticks);
    const long user = in_ms(usage.ru_utime);
    const long system = in_ms(usage.ru_stime);
    printf("%s: %s\n", what, user > 3 * system ? "user" : system > 3 * user ? "kernel" : "both");
    const int agrees = (ticks.tms_utime > 3 * ticks.tms_stime) == (user > 3 * system);
    printf("in ticks the same: %d\n", agrees);
    FILE* file = fopen("/proc/self/stat", "r");
    long told[2] = {0};
    int niceness = 0;
    int priority = 0;
    const int found =
        file == NULL
            ? 0
            : fscanf(file, "%*d %*s %*c %*d %*d %*d %*d %*d %*d %*d %*d %*d %*d %ld %ld %*d %*d %d %d",
                     &told[0], &told[1], &priority, &niceness);
    if (file != NULL) {
        fclose(file);
    }
    printf("stat: %d, the same: %d, priority %d, nice %d\n", found,
           (told[0] > 3 * told[1]) == (user > 3 * system), priority - niceness, niceness - base);
}

static long used(void) {
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return in_ms(usage.ru_utime) + in_ms(usage.ru_stime);
}

static int in_child(const char* what, void (*work)(void)) {
    fflush(stdout);
    const pid_t child = fork();
    if (child == 0) {
        while (used() < 600) {
            work();
        }
        say_times(what);
        fflush(stdout);
        _exit(0);
    }
    struct rusage usage;
    wait4(child, NULL, 0, &usage);
    return in_ms(usage.ru_stime) > 3 * in_ms(usage.ru_utime);
}

static void compute_long(void) {
    for (int i = 0; i < 50; ++i) {
        compute();
    }
}

static void read_zeros(void) {
    static char room[1 << 20];
    static int file = -1;
    if (file < 0) {
        file = open("/dev/zero", O_RDONLY);
    }
    for (int i = 0; i < 20; ++i) {
        if (read(file, room, sizeof room) < 0) {
            _exit(1);
        }
    }
}

static void monotone(void) {
    struct rusage before;
    struct rusage now;
    int wrong = 0;
    getrusage(RUSAGE_SELF, &before);
    for (int i = 0; i < 3000; ++i) {
        compute();
        getrusage(RUSAGE_SELF, &now);
        wrong += timercmp(&now.ru_utime, &before.ru_utime, <) || timercmp(&now.ru_stime, &before.ru_stime, <);
        before = now;
    }
    say("went back", wrong);
}

int main(void) {
    base = getpriority(PRIO_PROCESS, 0);
    policies();
    race("equals", usual, usual);
    race("nice 10", usual, nice_10);
    race("nice 5", usual, nice_5);
    race("idle", usual, idle);
    race("batch", usual, batch);
    printf("children's: %d\n", in_child("computing", compute_long));
    printf("children's: %d\n", in_child("reading", read_zeros));
    monotone();
    return 0;
}
