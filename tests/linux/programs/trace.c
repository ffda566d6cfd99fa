/* ptrace: calls seen and changed, memory, registers, single steps, signals, births and ends.
 * SPDX-License-Identifier: MIT */
#include "say.h"

#include <elf.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>

static volatile long word = 11;

static const char* name_of(int status) {
    static char text[64];
    if (WIFEXITED(status)) {
        snprintf(text, sizeof text, "exit %d", WEXITSTATUS(status));
    } else if (WIFSIGNALED(status)) {
        snprintf(text, sizeof text, "ended by %d", WTERMSIG(status));
    } else {
        snprintf(text, sizeof text, "stop %x event %d", WSTOPSIG(status), status >> 16);
    }
    return text;
}

static int wait_for(pid_t id) {
    int status = -1;
    if (waitpid(id, &status, __WALL) < 0) {
        say("waitpid", -1);
    }
    return status;
}

/* The line of /proc/ID/status that begins with `key`. */
static void say_status(pid_t id, const char* key, pid_t expected) {
    char text[4096];
    snprintf(text, sizeof text, "/proc/%d/status", (int)id);
    FILE* file = fopen(text, "r");
    while (file != NULL && fgets(text, sizeof text, file) != NULL) {
        if (strncmp(text, key, strlen(key)) == 0) {
            const char* value = text + strlen(key) + 2;
            if (expected == 0) {
                printf("%s: %s", key, value);
            } else {
                printf("%s %s\n", key, atoi(value) == (int)expected ? "is right" : value);
            }
        }
    }
    if (file != NULL) {
        fclose(file);
    }
}

static pid_t traced(void (*child)(void)) {
    fflush(stdout);
    const pid_t id = fork();
    if (id == 0) {
        ptrace(PTRACE_TRACEME, 0, 0, 0);
        raise(SIGSTOP);
        child();
        _exit(word == 11 ? 1 : 2);
    }
    printf("begins: %s\n", name_of(wait_for(id)));
    return id;
}

static void some_calls(void) {
    syscall(SYS_getppid);
    syscall(SYS_write, -1, "x", 1);
    syscall(SYS_getuid);
}

/* Each call on its way in and out; getuid becomes another call, and its result is changed. */
/* What a call leaves as it is, the tracer changes when the call begins. */
static void keep_registers(void) {
    long rbx = 1;
    register long r12 asm("r12") = 2;
    register long r15 asm("r15") = 3;
    long result = SYS_getuid;
    asm volatile("syscall" : "+a"(result), "+b"(rbx), "+r"(r12), "+r"(r15) : : "rcx", "r11", "memory");
    printf("child has %ld %ld %ld\n", rbx, r12, r15);
    fflush(stdout);
}

static void registers_at_entry(void) {
    const pid_t id = traced(keep_registers);
    fflush(stdout); /* what the child says comes after it */
    ptrace(PTRACE_SETOPTIONS, id, 0, PTRACE_O_TRACESYSGOOD);
    for (int in = 1;; in = !in) {
        ptrace(PTRACE_SYSCALL, id, 0, 0);
        if (!WIFSTOPPED(wait_for(id))) {
            return;
        }
        struct user_regs_struct registers;
        ptrace(PTRACE_GETREGS, id, 0, &registers);
        if (in && registers.orig_rax == SYS_getuid) {
            registers.rbx = 42;
            registers.r12 = 43;
            registers.r15 = 44;
            ptrace(PTRACE_SETREGS, id, 0, &registers);
        }
    }
}

static void calls(void) {
    const pid_t id = traced(some_calls);
    ptrace(PTRACE_SETOPTIONS, id, 0, PTRACE_O_TRACESYSGOOD);
    int seen = 0;
    for (;;) {
        ptrace(PTRACE_SYSCALL, id, 0, 0);
        const int status = wait_for(id);
        if (!WIFSTOPPED(status)) {
            printf("calls end: %s\n", name_of(status));
            break;
        }
        struct user_regs_struct registers;
        struct __ptrace_syscall_info info;
        memset(&info, 0, sizeof info);
        ptrace(PTRACE_GETREGS, id, 0, &registers);
        const long length = ptrace(PTRACE_GET_SYSCALL_INFO, id, sizeof info, &info);
        const long number = (long)registers.orig_rax;
        if (number != SYS_getppid && number != SYS_write && number != SYS_getuid) {
            continue;
        }
        ++seen;
        printf("call %ld %s stop %x: rax %s, info %ld op %d\n", number, info.op == 1 ? "in" : "out",
               WSTOPSIG(status),
               info.op == 1              ? strerrorname_np((int)-registers.rax)
               : (long)registers.rax < 0 ? strerrorname_np((int)-registers.rax)
                                         : "good",
               length, info.op);
        if (info.op == 1 && number == SYS_write) {
            printf("arguments %ld %ld\n", (long)(int)info.entry.args[0], (long)info.entry.args[2]);
        }
        if (info.op == 1 && number == SYS_getuid) {
            registers.orig_rax = SYS_getppid;
            ptrace(PTRACE_SETREGS, id, 0, &registers);
        }
    }
    printf("seen %d\n", seen);
}

static void nothing(void) {}

static void memory(void) {
    const pid_t id = traced(nothing);
    errno = 0;
    printf("peek %ld\n", ptrace(PTRACE_PEEKDATA, id, &word, 0));
    say("poke", ptrace(PTRACE_POKEDATA, id, &word, 12L));
    printf("peek %ld, own %ld\n", ptrace(PTRACE_PEEKDATA, id, &word, 0), word);
    errno = 0;
    say("peek nowhere", ptrace(PTRACE_PEEKDATA, id, 8L, 0));
    say("poke nowhere", ptrace(PTRACE_POKEDATA, id, 8L, 0));
    long got = 0;
    struct iovec own = {&got, sizeof got};
    struct iovec other = {(void*)&word, sizeof word};
    say("read", process_vm_readv(id, &own, 1, &other, 1, 0));
    printf("read %ld\n", got);
    struct user_regs_struct registers;
    struct iovec set = {&registers, sizeof registers};
    say("registers", ptrace(PTRACE_GETREGSET, id, NT_PRSTATUS, &set));
    errno = 0;
    const unsigned long rip =
        (unsigned long)ptrace(PTRACE_PEEKUSER, id, offsetof(struct user_regs_struct, rip), 0);
    printf("length %zu, the same rip: %d\n", set.iov_len, rip == registers.rip);
    const unsigned long kept = registers.rip;
    registers.rip = 0xffffffff80000000;
    ptrace(PTRACE_SETREGS, id, 0, &registers);
    ptrace(PTRACE_GETREGS, id, 0, &registers);
    registers.rip = kept;
    say("back", ptrace(PTRACE_SETREGS, id, 0, &registers));
    siginfo_t info;
    say("signal", ptrace(PTRACE_GETSIGINFO, id, 0, &info));
    printf("signal %d\n", info.si_signo);
    say("no such request", ptrace((enum __ptrace_request)0x7777, id, 0, 0));
    say("wild pointer", ptrace(PTRACE_GETREGS, id, 0, 8L));
    ptrace(PTRACE_CONT, id, 0, 0);
    printf("memory ends: %s\n", name_of(wait_for(id)));
    say("nobody", ptrace(PTRACE_CONT, id, 0, 0));
    say("oneself", ptrace(PTRACE_ATTACH, getpid(), 0, 0));
}

static void steps_to_take(void) {
    __asm__ volatile("nop\n\tnop\n\tnop\n\tnop\n\tnop\n\tnop\n\tnop\n\tnop");
}

static void steps(void) {
    const pid_t id = traced(steps_to_take);
    int good = 0;
    for (int i = 0; i < 20; ++i) {
        ptrace(PTRACE_SINGLESTEP, id, 0, 0);
        good += wait_for(id) == (SIGTRAP << 8 | 0x7f);
    }
    printf("steps %d\n", good);
    ptrace(PTRACE_CONT, id, 0, 0);
    printf("steps end: %s\n", name_of(wait_for(id)));
}

static void catch (int signal) {
    word = signal;
}

static void signals_to_get(void) {
    signal(SIGUSR1, catch);
    signal(SIGUSR2, catch);
    raise(SIGUSR1);
    raise(SIGUSR2);
    raise(SIGTERM);
}

static void signals(void) {
    const pid_t id = traced(signals_to_get);
    ptrace(PTRACE_CONT, id, 0, 0);
    printf("first: %s\n", name_of(wait_for(id)));
    ptrace(PTRACE_CONT, id, 0, 0); /* dropped */
    printf("second: %s\n", name_of(wait_for(id)));
    ptrace(PTRACE_CONT, id, 0, SIGUSR2);
    printf("third: %s\n", name_of(wait_for(id)));
    printf("the handler ran: %ld\n", ptrace(PTRACE_PEEKDATA, id, &word, 0));
    ptrace(PTRACE_CONT, id, 0, SIGKILL);
    printf("signals end: %s\n", name_of(wait_for(id)));
}

static void children_to_have(void) {
    if (fork() == 0) {
        _exit(5);
    }
    wait(NULL);
    if (vfork() == 0) {
        _exit(6);
    }
    wait(NULL);
    _exit(7);
}

static void children(void) {
    const pid_t id = traced(children_to_have);
    ptrace(PTRACE_SETOPTIONS, id, 0,
           PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACEVFORKDONE | PTRACE_O_TRACEEXIT |
               PTRACE_O_TRACEEXEC);
    pid_t kin[4] = {id};
    int count = 1;
    int ended = 0;
    static int stops[8];
    ptrace(PTRACE_CONT, id, 0, 0);
    while (ended < 3) {
        int status = 0;
        const pid_t who = waitpid(-1, &status, __WALL);
        if (who < 0) {
            say("waitpid", -1);
            break;
        }
        if (!WIFSTOPPED(status)) {
            printf("%s: %s\n", who == id ? "parent" : "child", name_of(status));
            ++ended;
            continue;
        }
        const int event = status >> 16;
        unsigned long message = 0;
        ptrace(PTRACE_GETEVENTMSG, who, 0, &message);
        if (event == PTRACE_EVENT_FORK || event == PTRACE_EVENT_VFORK) {
            kin[count < 4 ? count++ : 3] = (pid_t)message;
        } else if (event == PTRACE_EVENT_EXIT) {
            printf("%s about to end: %lx\n", who == id ? "parent" : "child", message);
        }
        ++stops[event < 8 ? event : 7];
        const int signal = WSTOPSIG(status);
        ptrace(PTRACE_CONT, who, 0, event == 0 && signal != SIGSTOP && signal != SIGTRAP ? signal : 0);
    }
    (void)kin;
    printf("events: fork %d vfork %d done %d exit %d\n", stops[1], stops[2], stops[5], stops[6]);
}

static void forever(void) {
    for (;;) {
        pause();
    }
}

static void seize(void) {
    fflush(stdout);
    const pid_t id = fork();
    if (id == 0) {
        forever();
    }
    say("seize", ptrace(PTRACE_SEIZE, id, 0, PTRACE_O_TRACESYSGOOD));
    say("twice", ptrace(PTRACE_SEIZE, id, 0, 0));
    say("not stopped", ptrace(PTRACE_CONT, id, 0, 0));
    say("interrupt", ptrace(PTRACE_INTERRUPT, id, 0, 0));
    printf("interrupted: %s\n", name_of(wait_for(id)));
    say_status(id, "State", 0);
    say_status(id, "TracerPid", getpid());
    say("while stopped", ptrace(PTRACE_INTERRUPT, id, 0, 0));
    say("go on", ptrace(PTRACE_CONT, id, 0, 0));
    printf("once more: %s\n", name_of(wait_for(id)));
    say("go on", ptrace(PTRACE_CONT, id, 0, 0));
    /* The second time what it listens for has come before it listens. */
    for (int early = 0; early < 2; ++early) {
        kill(id, SIGSTOP);
        printf("a signal: %s\n", name_of(wait_for(id)));
        ptrace(PTRACE_CONT, id, 0, SIGSTOP);
        printf("the group: %s\n", name_of(wait_for(id)));
        if (early) {
            kill(id, SIGCONT);
        }
        say("listen", ptrace(PTRACE_LISTEN, id, 0, 0));
        if (!early) {
            kill(id, SIGCONT);
        }
        printf("goes on: %s\n", name_of(wait_for(id)));
        ptrace(PTRACE_CONT, id, 0, 0);
        printf("the signal of it: %s\n", name_of(wait_for(id)));
        ptrace(PTRACE_CONT, id, 0, 0);
    }
    ptrace(PTRACE_INTERRUPT, id, 0, 0);
    printf("interrupted again: %s\n", name_of(wait_for(id)));
    say("detach", ptrace(PTRACE_DETACH, id, 0, 0));
    kill(id, SIGTERM);
    printf("seize ends: %s\n", name_of(wait_for(id)));
}

static void attach(void) {
    fflush(stdout);
    const pid_t id = fork();
    if (id == 0) {
        forever();
    }
    say("attach", ptrace(PTRACE_ATTACH, id, 0, 0));
    printf("attached: %s\n", name_of(wait_for(id)));
    kill(id, SIGKILL);
    printf("killed while stopped: %s\n", name_of(wait_for(id)));
    say("no such process", ptrace(PTRACE_ATTACH, 4000000, 0, 0));
}

/* Who traces ends: the traced go on, or end with it where that was asked for. */
static void tracer_ends(int option) {
    int ends[2];
    if (pipe(ends) != 0) {
        return;
    }
    fflush(stdout);
    const pid_t child = fork();
    if (child == 0) {
        char byte = 0;
        close(ends[1]);
        _exit(read(ends[0], &byte, 1) == 1 ? 3 : 4);
    }
    const pid_t tracer = fork();
    if (tracer == 0) {
        ptrace(PTRACE_SEIZE, child, 0, option);
        ptrace(PTRACE_INTERRUPT, child, 0, 0);
        waitpid(child, NULL, __WALL);
        _exit(0);
    }
    waitpid(tracer, NULL, 0);
    (void)!write(ends[1], "x", 1);
    printf("its tracer is gone: %s\n", name_of(wait_for(child)));
    close(ends[0]);
    close(ends[1]);
}

int main(void) {
    calls();
    registers_at_entry();
    memory();
    steps();
    signals();
    children();
    seize();
    attach();
    tracer_ends(0);
    tracer_ends(PTRACE_O_EXITKILL);
    return 0;
}
