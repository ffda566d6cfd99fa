/* The bases of %fs and %gs belong to a thread, whether a call sets them or an instruction (FSGSBASE): through
 * turns of others, births, and under a tracer's eyes. Where the processor has no such instructions, calls do
 * both.
 *
 * SPDX-License-Identifier: MIT */
#include "say.h"

#include <asm/hwcap2.h>
#include <asm/prctl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/auxv.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>

enum { THREADS = 6, TURNS = 2000 };

static int by_instruction;
static volatile int wrong;

static uint64_t by_call(int code) {
    uint64_t base = 0;
    syscall(SYS_arch_prctl, code, &base);
    return base;
}

static uint64_t gs(void) {
    uint64_t base = by_call(ARCH_GET_GS);
    if (by_instruction) {
        __asm__ volatile("rdgsbase %0" : "=r"(base));
    }
    return base;
}

static void set_gs(uint64_t base) {
    if (by_instruction) {
        __asm__ volatile("wrgsbase %0" ::"r"(base));
    } else {
        syscall(SYS_arch_prctl, ARCH_SET_GS, base);
    }
}

/* Each thread has its own, an address of the kernel's half among them: it can be held, not used. */
static void* keeps(void* number) {
    const uint64_t mine =
        by_instruction && number == NULL ? 0xffff800000001000 : 0x10000 + (uint64_t)(uintptr_t)number;
    set_gs(mine);
    for (int i = 0; i < TURNS; ++i) {
        sched_yield();
        wrong += gs() != mine;
        wrong += by_call(ARCH_GET_GS) != mine;
        wrong += by_call(ARCH_GET_FS) != (uint64_t)pthread_self();
    }
    return NULL;
}

/* Nothing of the C library works meanwhile: %fs leads elsewhere. */
static uint64_t other_fs(uint64_t base) {
    uint64_t before;
    uint64_t seen;
    long yielded;
    __asm__ volatile(
        "rdfsbase %0\n\t"
        "wrfsbase %3\n\t"
        "mov %4, %%eax\n\t"
        "syscall\n\t"
        "rdfsbase %1\n\t"
        "wrfsbase %0"
        : "=&r"(before), "=&r"(seen), "=&a"(yielded)
        : "r"(base), "i"(SYS_sched_yield)
        : "rcx", "r11", "memory");
    return seen;
}

static void traced(void) {
    const pid_t child = fork();
    if (child == 0) {
        ptrace(PTRACE_TRACEME, 0, NULL, NULL);
        say("a child's", (long)gs());
        set_gs(0x7000);
        raise(SIGSTOP);
        say("as the tracer says", (long)gs());
        _exit(0);
    }
    struct user_regs_struct registers;
    int status = 0;
    waitpid(child, &status, 0);
    ptrace(PTRACE_GETREGS, child, NULL, &registers);
    say("seen by a tracer", (long)registers.gs_base);
    registers.gs_base = 0x8000;
    ptrace(PTRACE_SETREGS, child, NULL, &registers);
    ptrace(PTRACE_CONT, child, NULL, NULL);
    waitpid(child, &status, 0);
    say("exit", WEXITSTATUS(status));
}

int main(void) {
    by_instruction = (getauxval(AT_HWCAP2) & HWCAP2_FSGSBASE) != 0;
    say("at first", (long)gs());
    say("by a call", syscall(SYS_arch_prctl, ARCH_SET_GS, 0x5000));
    say("read", (long)gs());
    say("the kernel's", syscall(SYS_arch_prctl, ARCH_SET_GS, 0xffff800000001000));
    pthread_t threads[THREADS];
    for (uintptr_t i = 0; i < THREADS; ++i) {
        pthread_create(&threads[i], NULL, keeps, (void*)i);
    }
    for (int i = 0; i < THREADS; ++i) {
        pthread_join(threads[i], NULL);
    }
    say("wrong", wrong);
    say("kept", (long)gs());
    say("elsewhere", by_instruction ? (long)other_fs(0x9000) : 0x9000);
    traced();
    say("still", (long)gs());
    return 0;
}
