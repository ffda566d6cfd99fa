/* ptrace's debug registers: what may be set, what stops and how it is told, and whose they are.
 * SPDX-License-Identifier: MIT */
#include "say.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <ucontext.h>

enum { instruction, on_write, ports, on_access };

static volatile uint64_t words[8] __attribute__((aligned(64)));
static char** own_arguments;

static unsigned long control(int number, unsigned kind, unsigned length) {
    const unsigned long code = length == 8 ? 2 : length - 1;
    return 1UL << 2 * number | (code << 2 | kind) << (16 + 4 * number);
}

static long poke(pid_t id, int number, unsigned long value) {
    return ptrace(PTRACE_POKEUSER, id, offsetof(struct user, u_debugreg) + 8UL * (unsigned)number, value);
}

static unsigned long peek(pid_t id, int number) {
    errno = 0;
    return (unsigned long)ptrace(PTRACE_PEEKUSER, id,
                                 offsetof(struct user, u_debugreg) + 8UL * (unsigned)number, 0);
}

static int wait_for(pid_t id) {
    int status = -1;
    if (waitpid(id, &status, __WALL) < 0) {
        say("waitpid", -1);
    }
    return status;
}

static int go_on(pid_t id, int request, int signal) {
    ptrace((enum __ptrace_request)request, id, 0, signal);
    return wait_for(id);
}

/* Where it stopped, and by what. */
static void tell(const char* what, pid_t id, int status) {
    if (!WIFSTOPPED(status)) {
        printf("%s: %s %d\n", what, WIFEXITED(status) ? "exit" : "ended by",
               WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status));
        return;
    }
    siginfo_t info;
    struct user_regs_struct registers;
    ptrace(PTRACE_GETSIGINFO, id, 0, &info);
    ptrace(PTRACE_GETREGS, id, 0, &registers);
    printf("%s: stop %x code %d at rip %d, status %lx, resume flag %d, word %ld\n", what, status >> 8,
           info.si_code, (unsigned long)info.si_addr == registers.rip, peek(id, 6),
           (registers.eflags >> 16 & 1) != 0, ptrace(PTRACE_PEEKDATA, id, (void*)&words[0], 0));
}

static pid_t traced(void (*child)(void)) {
    fflush(stdout);
    const pid_t id = fork();
    if (id == 0) {
        ptrace(PTRACE_TRACEME, 0, 0, 0);
        raise(SIGSTOP);
        child();
        _exit((int)words[0]);
    }
    wait_for(id);
    return id;
}

static void nothing(void) {}

static void values(void) {
    /* Who may do everything may watch Linux itself. */
    if (setresuid(1000, 1000, 1000) != 0) {
        say("setresuid", -1);
    }
    const pid_t id = traced(nothing);
    for (int i = 0; i < 8; ++i) {
        printf("at first %d: %lx\n", i, peek(id, i));
        say("read", errno == 0 ? 0 : -1);
    }
    for (int i = 0; i < 4; ++i) {
        const unsigned long bad[] = {
            0xffff800000000000, 0x800000000000, 0x7ffffffff000, 0x7fffffffefff, 0x7ffffffff001, ~0UL, 0};
        for (size_t j = 0; j < sizeof bad / sizeof *bad; ++j) {
            say("address", poke(id, i, bad[j]));
            printf("is %lx\n", peek(id, i));
        }
    }
    say("number 4", poke(id, 4, 0));
    say("number 5", poke(id, 5, 0));
    say("status", poke(id, 6, 0xffff0ff0));
    say("status", poke(id, 6, 0x1234567890));
    printf("status %lx\n", peek(id, 6));
    say("before them", ptrace(PTRACE_POKEUSER, id, offsetof(struct user, u_debugreg) - 8, 0));
    say("after them", ptrace(PTRACE_POKEUSER, id, sizeof(struct user), 0));
    say("uneven", ptrace(PTRACE_POKEUSER, id, offsetof(struct user, u_debugreg) + 4, 0));
    say("of no use", ptrace(PTRACE_POKEUSER, id, offsetof(struct user, u_debugreg) - 8, 1));
    const unsigned long address = (unsigned long)&words[0];
    poke(id, 0, address);
    for (unsigned kind = 0; kind < 4; ++kind) {
        for (unsigned length = 1; length <= 8; length *= 2) {
            printf("kind %u length %u: ", kind, length);
            say("control", poke(id, 7, control(0, kind, length)));
            printf("is %lx\n", peek(id, 7));
        }
    }
    say("off", poke(id, 7, 0));
    for (unsigned shift = 0; shift < 4; ++shift) {
        for (unsigned length = 1; length <= 8; length *= 2) {
            say("off", poke(id, 7, 0));
            say("uneven address", poke(id, 0, address + shift));
            say("uneven control", poke(id, 7, control(0, on_write, length)));
        }
    }
    poke(id, 7, 0);
    poke(id, 0, address);
    say("wide", poke(id, 7, control(0, on_write, 8)));
    say("wide, then uneven", poke(id, 0, address + 4));
    say("wide, then nowhere", poke(id, 0, 0xffff800000000000));
    printf("is %d\n", peek(id, 0) == address);
    say("off", poke(id, 7, 0));
    say("the last bytes", poke(id, 0, 0x7fffffffeff8));
    say("the last bytes", poke(id, 7, control(0, on_write, 8)));
    say("off", poke(id, 7, 0));
    poke(id, 0, address);
    say("global", poke(id, 7, control(0, on_write, 8) << 0 | 2));
    say("global alone", poke(id, 7, (control(0, on_write, 8) & ~1UL) | 2));
    say("reserved", poke(id, 7, control(0, on_write, 8) | 0xff00));
    printf("is %lx\n", peek(id, 7));
    say("high", poke(id, 7, 0xffff000000000000UL));
    printf("is %lx\n", peek(id, 7));
    say("without an address", poke(id, 7, control(3, on_write, 4)));
    say("all", poke(id, 7, control(0, on_write, 8) | control(1, on_access, 4) | control(2, instruction, 1)));
    say("one is bad",
        poke(id, 7, control(0, on_write, 8) | control(1, ports, 4) | control(2, instruction, 1)));
    printf("is %lx\n", peek(id, 7));
    say("off", poke(id, 7, 0));
    tell("values end", id, go_on(id, PTRACE_CONT, 0));
}

static void some_writes(void) {
    words[0] = 1;
    words[0] = 2;
    *((volatile uint8_t*)words + 7) = 1;
    (void)words[0];
    words[1] = 5;
    words[0] = 3;
}

static void data(unsigned kind, unsigned length) {
    const pid_t id = traced(some_writes);
    poke(id, 1, (unsigned long)&words[0]);
    say("watch", poke(id, 7, control(1, kind, length)));
    for (int i = 0; i < 7; ++i) {
        const int status = go_on(id, PTRACE_CONT, 0);
        tell("data", id, status);
        if (!WIFSTOPPED(status)) {
            return;
        }
    }
    kill(id, SIGKILL);
    wait_for(id);
}

static void __attribute__((noinline)) step(void) {
    words[0] = words[0] + 1;
}

static void some_steps(void) {
    for (int i = 0; i < 3; ++i) {
        step();
        __asm__ volatile("");
    }
}

/* The first one is reached each time, and gone past. */
static void code(void) {
    const pid_t id = traced(some_steps);
    poke(id, 3, (unsigned long)step);
    say("break", poke(id, 7, control(3, instruction, 1)));
    for (int i = 0; i < 2; ++i) {
        const int status = go_on(id, PTRACE_CONT, 0);
        tell("code", id, status);
        printf("there: %d\n",
               ptrace(PTRACE_PEEKUSER, id, offsetof(struct user_regs_struct, rip), 0) == (long)step);
    }
    /* Steps and watchpoints at once. */
    poke(id, 0, (unsigned long)&words[0]);
    say("both", poke(id, 7, control(3, instruction, 1) | control(0, on_write, 8)));
    int seen = 0;
    for (int i = 0; i < 40 && seen < 2; ++i) {
        const int status = go_on(id, PTRACE_SINGLESTEP, 0);
        const unsigned long told = peek(id, 6) & 0xf;
        if (told == 1) {
            tell("step", id, status);
        } else if (told != 0) {
            /* Whether with the step to it or after that, is the processor's affair. */
            printf("told %lx, there: %d\n", told,
                   ptrace(PTRACE_PEEKUSER, id, offsetof(struct user_regs_struct, rip), 0) == (long)step);
        }
        seen += told != 0;
    }
    poke(id, 6, 0);
    printf("status %lx\n", peek(id, 6));
    tell("one step more", id, go_on(id, PTRACE_SINGLESTEP, 0));
    poke(id, 7, 0);
    tell("code ends", id, go_on(id, PTRACE_CONT, 0));
}

static void take_by_call(void) {
    int ends[2];
    if (pipe(ends) != 0 || write(ends[1], "abcdefghijklmnop", 16) != 16) {
        _exit(1);
    }
    raise(SIGUSR1);
    const long got = read(ends[0], (void*)words, 16);
    raise(SIGUSR1);
    const long put = write(ends[1], (void*)words, 16);
    raise(SIGUSR1);
    words[0] = (uint64_t)(got + put);
}

/* What a call reads or writes for a program stops it nowhere; it is told with the next stop. */
static void by_calls(void) {
    const pid_t id = traced(take_by_call);
    poke(id, 2, (unsigned long)&words[1]);
    say("watch", poke(id, 7, control(2, on_access, 4)));
    for (int i = 0; i < 3; ++i) {
        tell("call", id, go_on(id, PTRACE_CONT, 0));
    }
    tell("calls end", id, go_on(id, PTRACE_CONT, 0));
}

static void become(void) {
    execl("/proc/self/exe", own_arguments[0], "again", NULL);
    execl(own_arguments[0], own_arguments[0], "again", NULL);
}

static void executed(void) {
    const pid_t id = traced(become);
    for (int i = 0; i < 4; ++i) {
        poke(id, i, (unsigned long)&words[i]);
    }
    say("watch", poke(id, 7, control(0, on_write, 8) | control(1, on_write, 8)));
    tell("execution", id, go_on(id, PTRACE_CONT, 0));
    for (int i = 0; i < 4; ++i) {
        printf("after it %d: %lx\n", i, peek(id, i));
    }
    tell("executed", id, go_on(id, PTRACE_CONT, 0));
}

static void* touch(void* unused) {
    words[0] = 40;
    return unused;
}

static void have_child(void) {
    int status = 0;
    const pid_t id = fork();
    if (id == 0) {
        words[0] = 9;
        _exit((int)words[0]);
    }
    waitpid(id, &status, 0);
    words[1] = (uint64_t)WEXITSTATUS(status);
    pthread_t thread;
    pthread_create(&thread, NULL, touch, NULL);
    pthread_join(thread, NULL);
    words[0] = words[0] + words[1];
}

static void inherited(void) {
    const pid_t id = traced(have_child);
    poke(id, 0, (unsigned long)&words[0]);
    poke(id, 7, control(0, on_write, 8));
    int status = 0;
    while (status = go_on(id, PTRACE_CONT, 0), WIFSTOPPED(status) && WSTOPSIG(status) == SIGCHLD) {
        /* the child's end */
        ptrace(PTRACE_SETOPTIONS, id, 0, 0);
    }
    tell("parent", id, status);
    poke(id, 7, 0);
    tell("parent ends", id, go_on(id, PTRACE_CONT, 0));
}

static void traced_child(void) {
    if (fork() == 0) {
        words[0] = 9;
        _exit(3);
    }
    wait(NULL);
}

static void of_traced_child(void) {
    const pid_t id = traced(traced_child);
    ptrace(PTRACE_SETOPTIONS, id, 0, PTRACE_O_TRACEFORK);
    poke(id, 0, (unsigned long)&words[0]);
    poke(id, 7, control(0, on_write, 8));
    unsigned long child = 0;
    go_on(id, PTRACE_CONT, 0);
    ptrace(PTRACE_GETEVENTMSG, id, 0, &child);
    wait_for((pid_t)child);
    printf("child has %lx %lx\n", peek((pid_t)child, 0), peek((pid_t)child, 6));
    tell("traced child", (pid_t)child, go_on((pid_t)child, PTRACE_CONT, 0));
    tell("its parent", id, go_on(id, PTRACE_CONT, SIGCHLD));
    kill(id, SIGKILL);
    wait_for(id);
}

enum { rivals = 4, turns = 50 };

static void write_all(void) {
    for (int i = 0; i < turns; ++i) {
        for (int j = 0; j < rivals; ++j) {
            words[j] = (uint64_t)i;
            sched_yield();
        }
    }
    words[0] = 0;
}

/* Each is stopped by its own word alone, wherever it runs and whoever ran there before. */
static void apart(void) {
    pid_t ids[rivals];
    int hits[rivals] = {0};
    int wrong = 0;
    for (int i = 0; i < rivals; ++i) {
        ids[i] = traced(write_all);
        if (i != 0) { /* the first one has none */
            poke(ids[i], i % 4, (unsigned long)&words[i]);
            poke(ids[i], 7, control(i % 4, on_write, 8));
        }
    }
    for (int i = 0; i < rivals; ++i) {
        ptrace(PTRACE_CONT, ids[i], 0, 0);
    }
    for (int left = rivals; left > 0;) {
        int status = 0;
        const pid_t who = waitpid(-1, &status, __WALL);
        if (!WIFSTOPPED(status)) {
            wrong += status != 0;
            --left;
            continue;
        }
        for (int i = 0; i < rivals; ++i) {
            if (ids[i] == who) {
                ++hits[i];
                wrong += (peek(who, 6) & 0xf) != 1UL << i % 4;
            }
        }
        ptrace(PTRACE_CONT, who, 0, 0);
    }
    printf("hits %d %d %d %d, wrong %d\n", hits[0], hits[1], hits[2], hits[3], wrong);
}

enum { moves = 200 };

static void write_in_turn(void) {
    for (int i = 0; i < moves; ++i) {
        words[i % 4] = (uint64_t)i;
    }
    words[0] = 0;
}

/* What a stopped one is given is in force when it goes on, however soon that is. */
static void chased(void) {
    const pid_t id = traced(write_in_turn);
    int right = 0;
    for (int i = 0; i < moves; ++i) {
        poke(id, 7, 0);
        poke(id, i % 2, (unsigned long)&words[i % 4]);
        poke(id, 7, control(i % 2, on_write, 8));
        ptrace(PTRACE_CONT, id, 0, 0);
        int status = 0;
        while (waitpid(id, &status, __WALL | WNOHANG) == 0) {
            sched_yield(); /* and no longer than needed */
        }
        if (!WIFSTOPPED(status)) {
            break;
        }
        right +=
            (peek(id, 6) & 0xf) == 1UL << i % 2 && ptrace(PTRACE_PEEKDATA, id, (void*)&words[i % 4], 0) == i;
    }
    printf("moved rightly %d\n", right);
    poke(id, 7, 0);
    tell("chased", id, go_on(id, PTRACE_CONT, 0));
}

static volatile int caught;

static void catch (int signal, siginfo_t* info, void* context) {
    const ucontext_t* at = context;
    caught = caught + 1;
    printf("caught %d code %d at %d, resume flag %d\n", signal, info->si_code,
           (unsigned long)info->si_addr == (unsigned long)at->uc_mcontext.gregs[REG_RIP],
           (at->uc_mcontext.gregs[REG_EFL] >> 16 & 1) != 0);
    fflush(stdout);
}

static void catch_all(void) {
    const struct sigaction action = {.sa_sigaction = catch, .sa_flags = SA_SIGINFO};
    sigaction(SIGTRAP, &action, NULL);
}

static void handle(void) {
    catch_all();
    some_steps();
    some_writes();
    words[0] = (uint64_t)caught;
}

/* Who is no longer traced keeps them. */
static void detached(void) {
    fflush(stdout);
    const pid_t id = traced(handle);
    poke(id, 0, (unsigned long)step);
    poke(id, 1, (unsigned long)&words[1]);
    poke(id, 7, control(0, instruction, 1) | control(1, on_write, 8));
    const long done = ptrace(PTRACE_DETACH, id, 0, 0);
    const int status = wait_for(id);
    say("detach", done);
    tell("detached", id, status);
}

/* Steps a program takes by itself: no debug register is in them. */
static void step_alone(void) {
    catch_all();
    __asm__ volatile(
        "subq $128, %%rsp\n\tpushfq\n\torq $0x100, (%%rsp)\n\tpopfq\n\tnop\n\tpushfq\n\tandq $~0x100, "
        "(%%rsp)\n\tpopfq\n\t"
        "addq $128, %%rsp" ::
            : "memory", "cc");
    printf("steps %d\n", caught);
}

/* The word from which %ss is loaded is watched: the trap waits until after the next instruction, which is one
 * that enters the kernel. */
static volatile unsigned short selector;

static void load_and_enter(void) {
    catch_all();
    __asm__ volatile("movw %%ss, %0" : "=m"(selector));
    raise(SIGUSR2);
    long result = SYS_getppid;
    __asm__ volatile("movw %1, %%ss\n\tsyscall" : "+a"(result) : "m"(selector) : "rcx", "r11", "memory");
    __asm__ volatile("movw %0, %%ss\n\tint3" ::"m"(selector) : "memory");
    __asm__ volatile("movw %0, %%ss\n\tnop" ::"m"(selector) : "memory");
    words[0] = (uint64_t)(result == getppid());
}

static void shadowed(void) {
    const pid_t id = traced(load_and_enter);
    tell("before", id, go_on(id, PTRACE_CONT, 0));
    poke(id, 0, (unsigned long)&selector);
    poke(id, 7, control(0, on_access, 2));
    /* Where it stops, is the processor's affair: on some a trap is lost. */
    int status = 0;
    int traps = 0;
    for (int i = 0; i < 9; ++i) {
        status = go_on(id, PTRACE_CONT, 0);
        if (!WIFSTOPPED(status)) {
            break;
        }
        traps += WSTOPSIG(status) == SIGTRAP;
    }
    printf("shadowed traps: %d\n", traps >= 2);
    tell("shadowed ends", id, status);
}

int main(int count, char** arguments) {
    own_arguments = arguments;
    if (count > 1) {
        words[0] = 1;
        words[1] = 1;
        return 7;
    }
    run_child(values);
    data(on_write, 1);
    data(on_write, 8);
    data(on_access, 4);
    code();
    by_calls();
    executed();
    inherited();
    of_traced_child();
    apart();
    chased();
    detached();
    run_child(step_alone);
    shadowed();
    return 0;
}
