/* Page faults, counted by getrusage, wait4 and /proc/PID/stat: of threads, processes and children.
 * SPDX-License-Identifier: MIT */
#include "say.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>

enum { pages = 64, page = 4096 };

static long faults(int who) {
    struct rusage usage;
    getrusage(who, &usage);
    if (usage.ru_majflt != 0 && is_our_kernel()) {
        printf("from a disk: %ld\n", usage.ru_majflt);
    }
    return usage.ru_minflt + usage.ru_majflt;
}

/* Small pages, none of them there. */
static volatile char* fresh(int protection) {
    char* at = mmap(NULL, pages * page, protection, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    madvise(at, pages * page, MADV_NOHUGEPAGE);
    return at;
}

static void touch(volatile char* at) {
    for (int i = 0; i < pages; ++i) {
        at[i * page] = 1;
    }
}

static void tell(const char* what, long before, long after) {
    printf("%s: %ld\n", what, after - before);
}

/* What a process needs besides is not the same everywhere, and little. */
static void tell_about(const char* what, long count) {
    printf("%s: %s\n", what, count < pages ? "too few" : count < 4 * pages ? "good" : "too many");
}

static volatile char* area;

static void let_in(int signal, siginfo_t* info, void* context) {
    (void)signal;
    (void)context;
    mprotect((void*)((unsigned long)info->si_addr & ~(page - 1UL)), page, PROT_READ | PROT_WRITE);
}

static void* in_thread(void* unused) {
    const long before = faults(RUSAGE_THREAD);
    touch(area);
    tell("thread", before, faults(RUSAGE_THREAD));
    return unused;
}

static void stat_of(pid_t id, unsigned long told[4]) {
    char path[64], text[1024];
    snprintf(path, sizeof path, "/proc/%d/stat", (int)id);
    const int file = open(path, O_RDONLY);
    const long length = read(file, text, sizeof text - 1);
    close(file);
    text[length < 0 ? 0 : length] = '\0';
    const char* rest = strrchr(text, ')');
    if (rest == NULL || sscanf(rest, ") %*c %*d %*d %*d %*d %*d %*u %lu %lu %lu %lu", &told[0], &told[1],
                               &told[2], &told[3]) != 4) {
        printf("not understood: %s\n", text);
    }
}

int main(void) {
    /* Whatever the loops themselves need is there. */
    area = fresh(PROT_READ | PROT_WRITE);
    touch(area);
    long before = faults(RUSAGE_SELF);
    tell("nothing", before, faults(RUSAGE_SELF));
    before = faults(RUSAGE_SELF);
    touch(area);
    tell("pages that are there", before, faults(RUSAGE_SELF));
    area = fresh(PROT_READ | PROT_WRITE);
    before = faults(RUSAGE_SELF);
    touch(area);
    tell("fresh pages", before, faults(RUSAGE_SELF));
    madvise((void*)area, pages * page, MADV_DONTNEED);
    before = faults(RUSAGE_SELF);
    touch(area);
    tell("given up and touched", before, faults(RUSAGE_SELF));

    /* Those of the kernel, when it copies. */
    area = fresh(PROT_READ | PROT_WRITE);
    const int zeros = open("/dev/zero", O_RDONLY);
    before = faults(RUSAGE_SELF);
    const long got = read(zeros, (void*)area, pages * page);
    tell("by a call", before, faults(RUSAGE_SELF));
    say("read", got);

    /* What ends in a signal is none. */
    const struct sigaction action = {.sa_sigaction = let_in, .sa_flags = SA_SIGINFO};
    sigaction(SIGSEGV, &action, NULL);
    area = fresh(PROT_NONE);
    area[0] = 1;
    before = faults(RUSAGE_SELF);
    touch(area);
    tell("let in, but one", before, faults(RUSAGE_SELF));

    area = fresh(PROT_READ | PROT_WRITE);
    before = faults(RUSAGE_SELF);
    pthread_t thread;
    pthread_create(&thread, NULL, in_thread, NULL);
    pthread_join(thread, NULL);
    tell_about("with the thread's", faults(RUSAGE_SELF) - before);

    /* Children count once they are waited for, with their own. */
    fflush(stdout);
    before = faults(RUSAGE_CHILDREN);
    const pid_t child = fork();
    if (child == 0) {
        const long own = faults(RUSAGE_SELF);
        touch(area);
        const long after = faults(RUSAGE_SELF);
        tell("copies of a child's own", own, after);
        fflush(stdout);
        if (own >= pages) {
            printf("a child begins with %ld\n", own);
        }
        const pid_t grandchild = fork();
        if (grandchild == 0) {
            touch(area);
            _exit(0);
        }
        waitpid(grandchild, NULL, 0);
        tell_about("grandchild", faults(RUSAGE_CHILDREN));
        fflush(stdout);
        _exit(0);
    }
    siginfo_t info;
    waitid(P_PID, (id_t)child, &info, WEXITED | WNOWAIT);
    tell("not waited for", before, faults(RUSAGE_CHILDREN));
    unsigned long told[4] = {0};
    stat_of(child, told);
    tell_about("a child that has ended", (long)told[0]);
    tell_about("and its children", (long)told[1]);
    struct rusage usage;
    wait4(child, NULL, 0, &usage);
    const long both = usage.ru_minflt + usage.ru_majflt;
    printf("wait4: %s\n", both >= 2 * pages && both < 8 * pages ? "good" : "bad");
    tell("waited for, but wait4's", before + both, faults(RUSAGE_CHILDREN));

    stat_of(getpid(), told);
    stat_of(getpid(), told);
    const long own = (long)(told[0] + told[2]);
    tell("in /proc", own, faults(RUSAGE_SELF));
    tell("in /proc, children's", (long)(told[1] + told[3]), faults(RUSAGE_CHILDREN));
    return 0;
}
