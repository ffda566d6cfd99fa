/* Birth, end and waiting: statuses, orphans, errors.
 * SPDX-License-Identifier: MIT */
#include "say.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>

static void tell(const char* what, int status) {
    if (WIFEXITED(status)) {
        printf("%s: exit %d\n", what, WEXITSTATUS(status));
    } else if (WIFSIGNALED(status)) {
        printf("%s: signal %d\n", what, WTERMSIG(status));
    } else if (WIFSTOPPED(status)) {
        printf("%s: stopped %d\n", what, WSTOPSIG(status));
    } else {
        printf("%s: continued %d\n", what, WIFCONTINUED(status));
    }
    fflush(stdout);
}

static void* spin(void* nothing) {
    for (;;) {
        sched_yield();
    }
    return nothing;
}

/* Threads that all end at the same moment: the process ends once, and is told. */
static void ends_at_once(void) {
    int ended = 0;
    for (int turn = 0; turn < 100; ++turn) {
        const pid_t id = fork();
        if (id == 0) {
            pthread_t thread;
            for (int i = 0; i < 3; ++i) {
                pthread_create(&thread, NULL, spin, NULL);
            }
            _exit(1);
        }
        ended += waitpid(id, NULL, 0) == id;
    }
    printf("threads end at once: %d\n", ended);
}

/* A sleep that is only stopped goes on; the time that is left is less. */
static void stopped_sleep(void) {
    const pid_t id = fork();
    if (id == 0) {
        struct timespec begin;
        struct timespec end;
        clock_gettime(CLOCK_MONOTONIC, &begin);
        const int result = nanosleep(&(struct timespec){0, 600000000}, NULL);
        clock_gettime(CLOCK_MONOTONIC, &end);
        const double span = (double)(end.tv_sec - begin.tv_sec) + (double)(end.tv_nsec - begin.tv_nsec) / 1e9;
        _exit(result != 0 ? 1 : span < 0.6 ? 2 : 0);
    }
    for (int i = 0; i < 3; ++i) {
        usleep(100000);
        kill(id, SIGSTOP);
        kill(id, SIGCONT);
    }
    int status = 0;
    waitpid(id, &status, 0);
    tell("a sleep that was stopped thrice", status);
}

static int run(void (*child)(void)) {
    int status = 0;
    pid_t id = fork();
    if (id == 0) {
        child();
        _exit(0);
    }
    if (waitpid(id, &status, 0) != id) {
        printf("waitpid did not give the child\n");
    }
    return status;
}

static void exit_7(void) {
    _exit(7);
}

static void exit_300(void) {
    _exit(300);
}

static void abort_it(void) {
    abort();
}

static void divide(void) {
    __asm__ volatile("xorl %%ecx, %%ecx\n\tidivl %%ecx" ::: "eax", "ecx", "edx");
}

static void bad_instruction(void) {
    __asm__ volatile("ud2");
}

static void privileged(void) {
    __asm__ volatile("hlt");
}

static void breakpoint(void) {
    __asm__ volatile("int3");
}

static void wild_jump(void) {
    ((void (*)(void))0x1234)();
}

static void odd_jump(void) {
    ((void (*)(void))0x8000000000000000)();
}

static volatile int without_end = 1;

static int descend(int depth) {
    volatile char room[4096];
    room[0] = (char)depth;
    return (without_end ? descend(depth + 1) : 0) + room[0];
}

static void endless_recursion(void) {
    _exit(descend(0));
}

static void kill_self(void) {
    kill(getpid(), SIGKILL);
}

static void execute_nothing(void) {
    _exit(execl("/no/such/program", "x", NULL) == -1 ? errno : 0);
}

static void statuses(void) {
    tell("exit 7", run(exit_7));
    tell("exit 300", run(exit_300));
    tell("abort", run(abort_it));
    tell("divide", run(divide));
    tell("ud2", run(bad_instruction));
    tell("hlt", run(privileged));
    tell("int3", run(breakpoint));
    tell("wild jump", run(wild_jump));
    tell("odd jump", run(odd_jump));
    tell("endless recursion", run(endless_recursion));
    tell("kill", run(kill_self));
    tell("execute nothing", run(execute_nothing));
}

static void waiting(void) {
    int status = 0;
    say("wait without children", wait(&status));
    say("waitpid for a stranger", waitpid(1, &status, 0));
    say("waitpid, bad options", waitpid(-1, &status, 0x8000));
    int gate[2];
    say("pipe", pipe(gate));
    pid_t id = fork();
    if (id == 0) {
        char c;
        close(gate[1]);
        (void)!read(gate[0], &c, 1);
        _exit(3);
    }
    say("WNOHANG", waitpid(id, &status, WNOHANG));
    say("WNOHANG by group", waitpid(0, &status, WNOHANG));
    siginfo_t info;
    close(gate[1]);
    say("waitid keeps", waitid(P_PID, (id_t)id, &info, WEXITED | WNOWAIT));
    printf("code %d status %d\n", info.si_code, info.si_status);
    say("waitid takes", waitid(P_PID, (id_t)id, &info, WEXITED));
    say("waitid again", waitid(P_PID, (id_t)id, &info, WEXITED));
    close(gate[0]);
    say("pipe", pipe(gate));
    id = fork();
    if (id == 0) {
        char c;
        close(gate[1]);
        raise(SIGSTOP);
        /* Its end would be told before its going on. */
        (void)!read(gate[0], &c, 1);
        _exit(4);
    }
    say("stopped", waitpid(id, &status, WUNTRACED) == id);
    tell("stop", status);
    kill(id, SIGCONT);
    say("continued", waitpid(id, &status, WCONTINUED) == id);
    tell("continue", status);
    close(gate[1]);
    say("ended", waitpid(id, &status, 0) == id);
    tell("end", status);
    close(gate[0]);
    signal(SIGCHLD, SIG_IGN);
    if (fork() == 0) {
        _exit(0);
    }
    say("wait with SIGCHLD ignored", wait(&status));
    signal(SIGCHLD, SIG_DFL);
}

static void kinds(void) {
    volatile int seen = 0;
    pid_t id = vfork();
    if (id == 0) {
        seen = 1;
        _exit(0);
    }
    int status = 0;
    waitpid(id, &status, 0);
    say("vfork shares memory", seen);
    say("getpid in fork", fork() == 0 ? (_exit(0), 0) : 1);
    wait(&status);
    say("clone, thread without memory", syscall(SYS_clone, 0x10000, 0, 0, 0, 0));
    say("kill, bad signal", kill(getpid(), 65));
    say("kill, nobody", kill(4194303, 0));
    say("kill, oneself with 0", kill(getpid(), 0));
    say("setpgid of a stranger", setpgid(1, 0) == -1 && errno != 0 ? 1 : 0);
    say("getpgid", getpgid(0) == getpgrp());
    say("getsid, nobody", getsid(4194303));
}

static void spinning(void) {
    int status = 0;
    pid_t id = fork();
    if (id == 0) {
        for (;;) {
        }
    }
    usleep(50000);
    say("kill one that spins", kill(id, SIGTERM));
    say("it ends", waitpid(id, &status, 0) == id);
    tell("spinning", status);
}

static void many(void) {
    int sum = 0;
    for (int i = 0; i < 50; ++i) {
        if (fork() == 0) {
            _exit(i);
        }
    }
    for (int i = 0; i < 50; ++i) {
        int status = 0;
        wait(&status);
        sum += WEXITSTATUS(status);
    }
    say("sum of fifty", sum);
}

int main(void) {
    statuses();
    waiting();
    kinds();
    spinning();
    many();
    ends_at_once();
    stopped_sleep();
    return 0;
}
