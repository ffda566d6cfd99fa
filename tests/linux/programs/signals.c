/* Signals: masks, frames, restart, alternate stacks.
 * SPDX-License-Identifier: MIT */
#include "say.h"

#include <signal.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>

static volatile int count;
static volatile int last;
static volatile int on_stack;
static char stack[65536];

static void on_signal(int signal) {
    ++count;
    last = signal;
    char here;
    on_stack = &here >= stack && &here < stack + sizeof stack;
}

static void nested(int signal) {
    if (signal == SIGUSR1) {
        raise(SIGUSR2);
        printf("SIGUSR2 came within SIGUSR1: %d\n", count);
    } else {
        ++count;
    }
}

static void vectors(int signal) {
    (void)signal;
    __asm__ volatile("pxor %%xmm0, %%xmm0\n\tpxor %%xmm15, %%xmm15" ::: "xmm0", "xmm15");
}

static void set(int signal, void (*handler)(int), int flags) {
    struct sigaction action = {.sa_handler = handler, .sa_flags = flags};
    say("sigaction", sigaction(signal, &action, NULL));
}

static void masks(void) {
    sigset_t set_of, old, pending;
    set(SIGUSR1, on_signal, 0);
    raise(SIGUSR1);
    printf("came %d, last %d\n", count, last);
    sigemptyset(&set_of);
    sigaddset(&set_of, SIGUSR1);
    say("block", sigprocmask(SIG_BLOCK, &set_of, &old));
    raise(SIGUSR1);
    raise(SIGUSR1);
    printf("while blocked %d\n", count);
    sigpending(&pending);
    say("pending", sigismember(&pending, SIGUSR1));
    say("unblock", sigprocmask(SIG_SETMASK, &old, NULL));
    printf("after %d\n", count);
    say("bad how", sigprocmask(77, &old, NULL));
    for (int i = 0; i < 3; ++i) {
        sigset_t real;
        sigemptyset(&real);
        sigaddset(&real, SIGRTMIN);
        if (i == 0) {
            set(SIGRTMIN, on_signal, 0);
            sigprocmask(SIG_BLOCK, &real, NULL);
        }
        raise(SIGRTMIN);
        if (i == 2) {
            count = 0;
            sigprocmask(SIG_UNBLOCK, &real, NULL);
            printf("real-time signals queue: %d\n", count);
        }
    }
    struct sigaction action = {.sa_handler = on_signal};
    say("SIGKILL has no handler", sigaction(SIGKILL, &action, NULL));
    say("signal 0 neither", syscall(SYS_rt_sigaction, 0, NULL, NULL, 8));
    say("nor a set of another size", syscall(SYS_rt_sigaction, SIGUSR1, NULL, NULL, 4));
}

static void frames(void) {
    count = 0;
    set(SIGUSR1, nested, 0);
    set(SIGUSR2, nested, 0);
    raise(SIGUSR1);
    stack_t alternate = {.ss_sp = stack, .ss_size = sizeof stack};
    say("sigaltstack", sigaltstack(&alternate, NULL));
    set(SIGUSR1, on_signal, SA_ONSTACK);
    raise(SIGUSR1);
    say("on the alternate stack", on_stack);
    alternate.ss_size = 100;
    say("too small a stack", sigaltstack(&alternate, NULL));
    alternate.ss_flags = 0x55;
    say("bad flags", sigaltstack(&alternate, NULL));
    set(SIGUSR2, vectors, 0);
    uint64_t low = 0;
    __asm__ volatile(
        "movq %1, %%xmm15\n\tmovq %2, %%rdi\n\tmovl %3, %%esi\n\tmovl %4, %%eax\n\tsyscall\n\tmovq %%xmm15, "
        "%0"
        : "=r"(low)
        : "r"(0x1122334455667788ULL), "r"((uint64_t)getpid()), "i"(SIGUSR2), "i"(SYS_kill)
        : "rax", "rdi", "rsi", "rcx", "r11", "xmm0", "xmm15", "memory");
    printf("vector registers after a handler: %llx\n", (unsigned long long)low);
    set(SIGUSR1, on_signal, SA_RESETHAND);
    raise(SIGUSR1);
    if (fork() == 0) {
        raise(SIGUSR1);
        _exit(0);
    }
    int status = 0;
    wait(&status);
    printf("SA_RESETHAND: signal %d\n", WTERMSIG(status));
}

/* A child sends SIGUSR1 in a moment; what becomes of a read that waits? */
static void interrupt_read(const char* what, int flags) {
    int ends[2];
    (void)!pipe(ends);
    set(SIGUSR1, on_signal, flags);
    pid_t parent = getpid();
    if (fork() == 0) {
        struct timespec moment = {0, 100000000};
        nanosleep(&moment, NULL);
        kill(parent, SIGUSR1);
        nanosleep(&moment, NULL);
        (void)!write(ends[1], "x", 1);
        _exit(0);
    }
    char c;
    say(what, read(ends[0], &c, 1));
    int status;
    while (wait(&status) == -1) {
    }
    close(ends[0]);
    close(ends[1]);
}

static void waits(void) {
    interrupt_read("read with SA_RESTART", SA_RESTART);
    interrupt_read("read without", 0);
    sigset_t none, one;
    sigemptyset(&none);
    sigemptyset(&one);
    sigaddset(&one, SIGUSR1);
    sigprocmask(SIG_BLOCK, &one, NULL);
    raise(SIGUSR1);
    count = 0;
    say("sigsuspend", sigsuspend(&none));
    printf("handled %d\n", count);
    raise(SIGUSR1);
    siginfo_t info;
    struct timespec zero = {0, 0};
    say("sigtimedwait", sigtimedwait(&one, &info, &zero));
    printf("code %d, from oneself %d\n", info.si_code, info.si_pid == getpid());
    say("sigtimedwait, nothing", sigtimedwait(&one, &info, &zero));
    sigprocmask(SIG_UNBLOCK, &one, NULL);
    if (fork() == 0) {
        signal(SIGPIPE, SIG_DFL);
        int ends[2];
        (void)!pipe(ends);
        close(ends[0]);
        (void)!write(ends[1], "x", 1);
        _exit(0);
    }
    int status = 0;
    wait(&status);
    printf("writing where nobody reads: signal %d\n", WTERMSIG(status));
}

static void timers(void) {
    set(SIGALRM, on_signal, 0);
    struct itimerval often = {{0, 20000}, {0, 20000}}, left;
    say("setitimer", setitimer(ITIMER_REAL, &often, NULL));
    say_done("pause", pause());
    /* Blocked in between, so that each wait ends by one signal, however late the timer or this process is. */
    sigset_t mask, before;
    sigemptyset(&mask);
    sigaddset(&mask, SIGALRM);
    sigprocmask(SIG_BLOCK, &mask, &before);
    for (int i = 0; i < 2; ++i) {
        say_done("sigsuspend", sigsuspend(&before));
    }
    sigprocmask(SIG_SETMASK, &before, NULL);
    say("getitimer", getitimer(ITIMER_REAL, &left));
    printf("interval %ld us, left %d\n", (long)left.it_interval.tv_usec, left.it_value.tv_usec > 0);
    memset(&often, 0, sizeof often);
    say("off", setitimer(ITIMER_REAL, &often, NULL));
    say("alarm", alarm(100));
    say("alarm again", alarm(0));
    say("and again", alarm(0));
    often.it_value.tv_usec = 1000000;
    say("too many microseconds", setitimer(ITIMER_REAL, &often, NULL));
    say("no such timer", setitimer(77, &often, NULL));
    struct timespec moment = {0, 10000000};
    say("nanosleep", nanosleep(&moment, NULL));
    moment.tv_nsec = 1000000000;
    say("too many nanoseconds", nanosleep(&moment, NULL));
}

int main(void) {
    masks();
    frames();
    waits();
    timers();
    return 0;
}
