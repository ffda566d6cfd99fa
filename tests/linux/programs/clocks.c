/* Timers of all kinds, processor time, and where threads run.
 * SPDX-License-Identifier: MIT */
#include "say.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/times.h>
#include <sys/wait.h>
#include <time.h>

static volatile sig_atomic_t came;
static volatile sig_atomic_t code;
static volatile sig_atomic_t value;

static void count(int signal, siginfo_t* info, void* context) {
    (void)signal;
    (void)context;
    ++came;
    code = info->si_code;
    value = info->si_value.sival_int;
}

static void handle(int signal) {
    struct sigaction action = {.sa_sigaction = count, .sa_flags = SA_SIGINFO | SA_RESTART};
    sigaction(signal, &action, NULL);
}

static double seconds_of(clockid_t clock) {
    struct timespec time;
    clock_gettime(clock, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

/* Uses the processor for that long. */
static void burn(double seconds) {
    const double end = seconds_of(CLOCK_PROCESS_CPUTIME_ID) + seconds;
    while (seconds_of(CLOCK_PROCESS_CPUTIME_ID) < end) {
    }
}

static void processor_time(void) {
    const double process = seconds_of(CLOCK_PROCESS_CPUTIME_ID);
    const double thread = seconds_of(CLOCK_THREAD_CPUTIME_ID);
    usleep(200000);
    printf("asleep no time is used: %d %d\n", seconds_of(CLOCK_PROCESS_CPUTIME_ID) - process < 0.1,
           seconds_of(CLOCK_THREAD_CPUTIME_ID) - thread < 0.1);
    burn(0.1);
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    printf("awake it is: %d %d\n", seconds_of(CLOCK_THREAD_CPUTIME_ID) - thread >= 0.1,
           usage.ru_utime.tv_sec + usage.ru_stime.tv_sec > 0 ||
               usage.ru_utime.tv_usec + usage.ru_stime.tv_usec >= 90000);
    fflush(stdout);
    if (fork() == 0) {
        burn(0.2);
        _exit(0);
    }
    getrusage(RUSAGE_CHILDREN, &usage);
    printf("of children that still run: %ld\n", (long)usage.ru_utime.tv_usec);
    struct rusage child;
    wait4(-1, NULL, 0, &child);
    getrusage(RUSAGE_CHILDREN, &usage);
    printf("of ended children: %d %d\n", child.ru_utime.tv_usec + child.ru_stime.tv_usec >= 180000,
           usage.ru_utime.tv_usec + usage.ru_stime.tv_usec >= 180000);
    struct tms times_of;
    const int is_time = times(&times_of) > 0;
    printf("times: %d %d\n", is_time, times_of.tms_cutime + times_of.tms_cstime >= 18);
    clockid_t clock;
    printf("clock of this process: %d\n",
           clock_getcpuclockid(getpid(), &clock) == 0 && seconds_of(clock) > 0.1);
    say("no such clock", clock_gettime(77, &(struct timespec){0}));
}

static void interval_timers(void) {
    static const struct {
        int which, signal;
        const char* name;
    } all[] = {{ITIMER_REAL, SIGALRM, "real"},
               {ITIMER_VIRTUAL, SIGVTALRM, "virtual"},
               {ITIMER_PROF, SIGPROF, "prof"}};

    for (int i = 0; i < 3; ++i) {
        const struct itimerval setting = {.it_value = {0, 20000}, .it_interval = {0, 20000}};
        struct itimerval old;
        handle(all[i].signal);
        came = 0;
        setitimer(all[i].which, &setting, NULL);
        while (came < 3) {
            burn(0.01);
        }
        getitimer(all[i].which, &old);
        printf("%s: code %d, interval %ld, left within it: %d\n", all[i].name, code,
               (long)old.it_interval.tv_usec, old.it_value.tv_sec == 0 && old.it_value.tv_usec <= 20000);
        setitimer(all[i].which, &(struct itimerval){0}, &old);
        came = 0;
        burn(0.06);
        printf("%s off: %d\n", all[i].name, came);
    }
    say("no such timer", setitimer(3, &(struct itimerval){0}, NULL));
    say("a million microseconds", setitimer(0, &(struct itimerval){.it_value = {0, 1000000}}, NULL));
}

/* One that is due and was not told yet is not off: something is left of it. */
static void never_nothing_left(void) {
    const struct itimerval setting = {.it_value = {0, 2000}, .it_interval = {0, 2000}};
    struct itimerval now;
    int looks = 0, none = 0;
    handle(SIGPROF);
    came = 0;
    setitimer(ITIMER_PROF, &setting, NULL);
    while (came < 10) {
        getitimer(ITIMER_PROF, &now);
        none += now.it_value.tv_sec == 0 && now.it_value.tv_usec == 0;
        ++looks;
    }
    setitimer(ITIMER_PROF, &(struct itimerval){0}, NULL);
    printf("on, and nothing left: %d\n", is_our_kernel() && none * 10 > looks);
}

static timer_t frequent;

static void count_to_20(int signal) {
    (void)signal;
    if (++came == 20) {
        timer_settime(frequent, 0, &(struct itimerspec){0}, NULL);
        setitimer(ITIMER_REAL, &(struct itimerval){0}, NULL);
    }
}

/* More often than they can be served: whom they are for goes on all the same. */
static void often(void) {
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN};
    const struct itimerspec setting = {.it_value = {0, 1}, .it_interval = {0, 1000}};
    const struct itimerval real = {.it_value = {0, 1}, .it_interval = {0, 1}};
    const struct sigaction action = {.sa_handler = count_to_20};
    timer_t timers[100];
    sigset_t set;
    sigaction(SIGRTMIN, &action, NULL);
    sigaction(SIGALRM, &action, NULL);
    came = 0;
    timer_create(CLOCK_MONOTONIC, &event, &frequent);
    timer_settime(frequent, 0, &setting, NULL);
    while (came < 20) {
    }
    came = 0;
    setitimer(ITIMER_REAL, &real, NULL);
    while (came < 20) {
    }
    timer_delete(frequent);
    sigemptyset(&set);
    sigaddset(&set, SIGRTMIN);
    sigprocmask(SIG_BLOCK, &set, NULL);
    for (int i = 0; i < 100; ++i) {
        timer_create(CLOCK_MONOTONIC, &event, &timers[i]);
        timer_settime(timers[i], 0, &setting, NULL);
    }
    burn(0.05);
    siginfo_t info = {0};
    say("very often: taken", sigwaitinfo(&set, &info) == SIGRTMIN);
    printf("more of them: %d\n", info.si_overrun > 100);
    for (int i = 0; i < 100; ++i) {
        timer_delete(timers[i]);
    }
    while (sigtimedwait(&set, &info, &(struct timespec){0}) > 0) {
    }
    sigprocmask(SIG_UNBLOCK, &set, NULL);
}

static void made_timers(void) {
    struct sigevent event = {
        .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1, .sigev_value.sival_int = 42};
    struct itimerspec setting = {.it_value = {0, 20000000}, .it_interval = {0, 20000000}};
    timer_t timer = 0;
    timer_t second = 0;
    handle(SIGUSR1);
    say("make one", timer_create(CLOCK_MONOTONIC, &event, &timer));
    came = 0;
    timer_settime(timer, 0, &setting, NULL);
    while (came < 3) {
        usleep(1000);
    }
    printf("code %d value %d\n", code, value);
    struct itimerspec left;
    timer_gettime(timer, &left);
    printf("interval %ld, left within it: %d\n", left.it_interval.tv_nsec, left.it_value.tv_nsec <= 20000000);

    /* What is blocked comes once, and the rest is counted. */
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigprocmask(SIG_BLOCK, &set, NULL);
    usleep(200000);
    came = 0;
    siginfo_t info;
    printf("waiting: %d\n", sigtimedwait(&set, &info, &(struct timespec){0, 0}));
    timer_settime(timer, 0, &(struct itimerspec){{0, 0}, {0, 0}}, NULL);
    sigprocmask(SIG_UNBLOCK, &set, NULL);

    struct timespec time;
    clock_gettime(CLOCK_REALTIME, &time);
    say("of the day", timer_create(CLOCK_REALTIME, NULL, &second));
    handle(SIGALRM);
    came = 0;
    setting = (struct itimerspec){.it_value = {time.tv_sec - 1, 0}};
    timer_settime(second, TIMER_ABSTIME, &setting, NULL);
    while (came == 0) {
        usleep(1000);
    }
    printf("what is past is due: code %d\n", code);
    say("processor time", timer_create(CLOCK_PROCESS_CPUTIME_ID, &event, &second));
    came = 0;
    timer_settime(second, 0, &(struct itimerspec){{0, 0}, {0, 30000000}}, NULL);
    usleep(100000);
    printf("asleep: %d\n", came);
    burn(0.1);
    printf("awake: %d\n", came);
    say("delete", timer_delete(timer));
    say("again", timer_delete(timer));
    say("no such clock", timer_create(77, &event, &timer));
    event.sigev_signo = 99;
    say("no such signal", timer_create(CLOCK_MONOTONIC, &event, &timer));
    say("no such timer", timer_gettime((timer_t)1000, &left));
    say("nanoseconds", timer_settime(second, 0, &(struct itimerspec){{0, 0}, {0, 1000000000}}, NULL));
}

static void queued_signals(void) {
    sigset_t set;
    siginfo_t info;
    sigemptyset(&set);
    sigaddset(&set, SIGRTMIN);
    sigprocmask(SIG_BLOCK, &set, NULL);
    for (int i = 0; i < 3; ++i) {
        say("queue", sigqueue(getpid(), SIGRTMIN, (union sigval){.sival_int = 10 + i}));
    }
    for (int i = 0; i < 4; ++i) {
        const int got = sigtimedwait(&set, &info, &(struct timespec){0, 0});
        printf("got %s value %d code %d\n", got == SIGRTMIN ? "it" : "nothing",
               got > 0 ? info.si_value.sival_int : 0, got > 0 ? info.si_code : 0);
    }
    struct rlimit limit;
    getrlimit(RLIMIT_SIGPENDING, &limit);
    const struct rlimit few = {50, limit.rlim_max};
    setrlimit(RLIMIT_SIGPENDING, &few);
    int sent = 0;
    while (sent < 100000 && sigqueue(getpid(), SIGRTMIN, (union sigval){0}) == 0) {
        ++sent;
    }
    printf("bounded: %s\n", sent < 100000 && errno == EAGAIN ? "EAGAIN" : "NOT");
    while (sigtimedwait(&set, &info, &(struct timespec){0, 0}) > 0) {
    }
    setrlimit(RLIMIT_SIGPENDING, &limit);
    say("afterwards", sigqueue(getpid(), SIGRTMIN, (union sigval){0}));
    say("to nobody", sigqueue(4000000, SIGRTMIN, (union sigval){0}));
}

static void* where(void* argument) {
    cpu_set_t set;
    sched_getaffinity(0, sizeof set, &set);
    *(int*)argument = CPU_COUNT(&set);
    return NULL;
}

static void processors(void) {
    cpu_set_t all;
    cpu_set_t one;
    sched_getaffinity(0, sizeof all, &all);
    int wrong = 0;
    for (int turn = 0; turn < 20; ++turn) {
        for (int i = 0; i < CPU_SETSIZE; ++i) {
            if (CPU_ISSET(i, &all)) {
                CPU_ZERO(&one);
                CPU_SET(i, &one);
                wrong += sched_setaffinity(0, sizeof one, &one) != 0;
                for (int j = 0; j < 20; ++j) {
                    wrong += sched_getcpu() != i;
                    sched_yield();
                }
            }
        }
    }
    printf("moved where it was told: %s\n", wrong == 0 ? "yes" : "no");
    int inherited = 0;
    pthread_t thread;
    pthread_create(&thread, NULL, where, &inherited);
    pthread_join(thread, NULL);
    printf("a thread inherits %d\n", inherited);
    fflush(stdout);
    if (fork() == 0) {
        where(&inherited);
        _exit(inherited);
    }
    int status = 0;
    wait(&status);
    printf("a process inherits %d\n", WEXITSTATUS(status));
    sched_setaffinity(0, sizeof all, &all);
    CPU_ZERO(&one);
    say("nowhere", sched_setaffinity(0, sizeof one, &one));
    CPU_SET(CPU_SETSIZE - 1, &one);
    say("where there is none", sched_setaffinity(0, sizeof one, &one));
    say("nobody's", sched_getaffinity(4000000, sizeof one, &one));
    printf("priorities %d %d %d %d\n", sched_get_priority_min(SCHED_OTHER),
           sched_get_priority_max(SCHED_OTHER), sched_get_priority_min(SCHED_FIFO),
           sched_get_priority_max(SCHED_RR));
    say("policy", sched_getscheduler(0));
    say("nicer", setpriority(PRIO_PROCESS, 0, 5));
    say("nice now", getpriority(PRIO_PROCESS, 0));
    say("no such choice", getpriority(7, 0));
}

int main(void) {
    processor_time();
    interval_timers();
    never_nothing_left();
    often();
    made_timers();
    queued_signals();
    processors();
    return 0;
}
