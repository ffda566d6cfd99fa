/* Limits of processor time and of files' sizes: the signals, the errors, and what the limits are afterwards.
 * SPDX-License-Identifier: MIT */
#include "say.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/time.h>

static volatile sig_atomic_t signals_seen;
static volatile sig_atomic_t last_code;

static void count(int signal, siginfo_t* info, void* context) {
    (void)signal;
    (void)context;
    last_code = info->si_code;
    signals_seen = signals_seen + 1;
}

static void handle(int signal) {
    struct sigaction action = {.sa_sigaction = count, .sa_flags = SA_SIGINFO};
    sigaction(signal, &action, NULL);
    signals_seen = 0;
}

static void set(int which, rlim_t soft, rlim_t hard) {
    const struct rlimit limit = {soft, hard};
    if (setrlimit(which, &limit) != 0) {
        say("setrlimit", -1);
    }
}

static void say_end(const char* what, int status) {
    if (WIFSIGNALED(status)) {
        printf("%s: %s\n", what, sigabbrev_np(WTERMSIG(status)));
    } else {
        printf("%s: exit %d\n", what, WEXITSTATUS(status));
    }
    fflush(stdout);
}

static void file_sizes(void) {
    char text[100];
    memset(text, 'x', sizeof text);
    handle(SIGXFSZ);
    const int file = open("quotas.tmp", O_RDWR | O_CREAT | O_TRUNC, 0600);
    set(RLIMIT_FSIZE, 150, 1000);
    say("within", write(file, text, sizeof text));
    say("up to it", write(file, text, sizeof text));
    printf("signals: %d\n", signals_seen);
    say("beyond", write(file, text, sizeof text));
    printf("signals: %d, from a user: %d\n", signals_seen, last_code == SI_USER);
    say("nothing beyond", write(file, text, 0));
    say("far beyond", pwrite(file, text, 1, 5000));
    say("below", pwrite(file, text, sizeof text, 0));
    say("over the edge", pwrite(file, text, sizeof text, 100));
    say("truncate up", ftruncate(file, 151));
    say("truncate to it", ftruncate(file, 150));
    say("truncate down", ftruncate(file, 10));
    say("allocate", fallocate(file, 0, 0, 4096));
    say("allocate within", fallocate(file, 0, 0, 100));
    say("truncate a path", truncate("quotas.tmp", 4096));
    say("size", lseek(file, 0, SEEK_END));
    printf("signals: %d\n", signals_seen);
    set(RLIMIT_FSIZE, 1000, 1000);
    say("raised", pwrite(file, text, sizeof text, 900));
    int ends[2];
    say("pipe", pipe(ends));
    set(RLIMIT_FSIZE, 0, 1000);
    say("into a pipe", write(ends[1], text, sizeof text));
    const int none = open("/dev/null", O_WRONLY);
    say("into a device", write(none, text, sizeof text));
    const int memory = memfd_create("m", 0);
    say("into memory", write(memory, text, 1));
    close(file);
    unlink("quotas.tmp");
}

static void too_large(void) {
    set(RLIMIT_FSIZE, 10, 10);
    const int file = open("quotas.tmp", O_RDWR | O_CREAT | O_TRUNC, 0600);
    unlink("quotas.tmp");
    ftruncate(file, 11);
}

static void shrink_of_larger(void) {
    const int file = open("quotas.tmp", O_RDWR | O_CREAT | O_TRUNC, 0600);
    unlink("quotas.tmp");
    ftruncate(file, 100);
    set(RLIMIT_FSIZE, 10, 10);
    say("still larger", ftruncate(file, 50));
    handle(SIGXFSZ);
    say("not written", write(file, "x", 1) == 1 && lseek(file, 20, SEEK_SET) == 20 ? write(file, "x", 1) : 0);
}

static long used(void) {
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (long)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000 +
           (long)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1000;
}

static void work(long until) {
    volatile unsigned long number = 0;
    while (used() < until && signals_seen < 2) {
        for (int i = 0; i < 20000; ++i) {
            number = number + 1;
        }
    }
}

static void hard_kills(void) {
    signal(SIGXCPU, SIG_IGN);
    set(RLIMIT_CPU, 1, 1);
    work(20000);
}

static void told_each_second(void) {
    handle(SIGXCPU);
    set(RLIMIT_CPU, 1, 60);
    work(20000);
    struct rlimit limit;
    getrlimit(RLIMIT_CPU, &limit);
    printf("told: %d, by the kernel: %d, limits %d %d, in time: %d\n", signals_seen, last_code == SI_KERNEL,
           (int)limit.rlim_cur, (int)limit.rlim_max, used() >= 1990 && used() < 15000);
}

static void inherited_work(void) {
    work(20000);
}

static void inherits(void) {
    set(RLIMIT_CPU, 1, 30);
    say_end("a child", run_child(inherited_work));
}

int main(void) {
    say_end("file sizes", run_child(file_sizes));
    say_end("without a handler", run_child(too_large));
    say_end("a larger one", run_child(shrink_of_larger));
    say_end("hard limit", run_child(hard_kills));
    say_end("a handler", run_child(told_each_second));
    say_end("inheritance", run_child(inherits));
    return 0;
}
