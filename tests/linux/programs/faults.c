/* What a program can do wrong by itself, one way a child: the signal it gets, the code that comes with it,
 * and a bystander that notices nothing.
 * SPDX-License-Identifier: MIT */
#include "say.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>

#define KERNEL_HALF 0xffffffff80200000UL
#define NOT_CANONICAL 0x8000000000001234UL

static char* page; /* may be read only */

static void load(unsigned long address) {
    (void)*(volatile char*)address;
}

static void read_null(void) {
    load(8);
}

static void write_null(void) {
    *(volatile char*)16 = 1;
}

static void call_null(void) {
    ((void (*)(void))24)();
}

static void read_kernel(void) {
    load(KERNEL_HALF);
}

static void write_kernel(void) {
    *(volatile char*)KERNEL_HALF = 1;
}

static void call_kernel(void) {
    ((void (*)(void))KERNEL_HALF)();
}

static void read_not_canonical(void) {
    load(NOT_CANONICAL);
}

static void call_not_canonical(void) {
    __asm__ volatile("push %0; ret" : : "r"(NOT_CANONICAL));
}

static void write_read_only(void) {
    *(volatile char*)page = 1;
}

static void call_data(void) {
    ((void (*)(void))page)();
}

static void write_code(void) {
    *(volatile char*)(unsigned long)&write_code = 1;
}

static void no_instruction(void) {
    __asm__ volatile("ud2");
}

static void divide(void) {
    __asm__ volatile("xor %%edx, %%edx; xor %%ecx, %%ecx; mov $1, %%eax; div %%ecx"
                     :
                     :
                     : "eax", "ecx", "edx");
}

static void breakpoint(void) {
    __asm__ volatile("int3");
}

static void step(void) {
    __asm__ volatile("pushfq; orl $0x100, (%%rsp); popfq; nop; nop" : : : "memory", "cc");
}

static void interrupt_of_the_kernel(void) {
    __asm__ volatile("int $14");
}

static void halt(void) {
    __asm__ volatile("hlt");
}

static void no_interrupts(void) {
    __asm__ volatile("cli");
}

static void port(void) {
    __asm__ volatile("outb %%al, $0x80" : : "a"(0));
}

static void model_register(void) {
    __asm__ volatile("rdmsr" : : "c"(0xc0000080U) : "eax", "edx");
}

static void page_tables(void) {
    __asm__ volatile("mov %%cr3, %%rax" : : : "rax");
}

static void descriptor_table(void) {
    const char none[10] = {0};
    __asm__ volatile("lgdt %0" : : "m"(none));
}

static void selector(void) {
    __asm__ volatile("mov %0, %%ds" : : "r"(0xfff3));
}

static void return_from_an_interrupt(void) {
    __asm__ volatile("push $0; push $0; push $2; push $8; push $0; iretq");
}

/* The vector unit's exceptions do not exist under QEMU's TCG. */
static void float_division(void) {
    const unsigned short mode = 0x037f & ~4U;
    __asm__ volatile("fldcw %0; fld1; fldz; fdivrp; fwait" : : "m"(mode));
}

static void float_invalid(void) {
    const unsigned short mode = 0x037f & ~1U;
    __asm__ volatile("fldcw %0; fldz; fldz; fdivrp; fwait" : : "m"(mode));
}

static void float_inexact(void) {
    const unsigned short mode = 0x037f & ~0x20U;
    __asm__ volatile("fldcw %0; fld1; fldpi; fdivrp; fwait" : : "m"(mode));
}

static void no_stack(void) {
    __asm__ volatile("mov $16, %%rsp; push %%rax" : : : "memory");
}

static void stack_in_the_kernel(void) {
    __asm__ volatile("mov %0, %%rsp; push %%rax" : : "r"(KERNEL_HALF) : "memory");
}

static void endless(void) {
    __asm__ volatile("1: sub $4096, %%rsp; movb $0, (%%rsp); jmp 1b" : : : "memory");
}

static const struct {
    const char* name;
    void (*deed)(void);
} deeds[] = {
    {"read null", read_null},
    {"write null", write_null},
    {"call null", call_null},
    {"read the kernel", read_kernel},
    {"write the kernel", write_kernel},
    {"call the kernel", call_kernel},
    {"read not canonical", read_not_canonical},
    {"call not canonical", call_not_canonical},
    {"write read-only", write_read_only},
    {"call data", call_data},
    {"write code", write_code},
    {"no instruction", no_instruction},
    {"divide by zero", divide},
    {"breakpoint", breakpoint},
    {"a step", step},
    {"int 14", interrupt_of_the_kernel},
    {"hlt", halt},
    {"cli", no_interrupts},
    {"out", port},
    {"rdmsr", model_register},
    {"read cr3", page_tables},
    {"lgdt", descriptor_table},
    {"selector", selector},
    {"iretq", return_from_an_interrupt},
    {"float division", float_division},
    {"float invalid", float_invalid},
    {"float inexact", float_inexact},
    {"no stack", no_stack},
    {"stack in the kernel", stack_in_the_kernel},
    {"endless stack", endless},
};

static const char* doing;

static void tell(int signal, siginfo_t* info, void* context) {
    (void)context;
    printf("%s: signal %d code %d\n", doing, signal, info->si_code);
    fflush(stdout);
    _exit(7);
}

static void prepare(int handled) {
    if (!handled) {
        return;
    }
    stack_t stack = {.ss_size = 65536};
    stack.ss_sp = mmap(NULL, stack.ss_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    sigaltstack(&stack, NULL);
    const struct sigaction action = {.sa_sigaction = tell, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    const int signals[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP};
    for (unsigned i = 0; i < sizeof signals / sizeof *signals; ++i) {
        sigaction(signals[i], &action, NULL);
    }
}

int main(void) {
    page = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    int ends[2];
    if (pipe(ends) != 0) {
        return 1;
    }
    fflush(stdout);
    const pid_t bystander = fork();
    if (bystander == 0) {
        char byte = 0;
        close(ends[1]);
        _exit(read(ends[0], &byte, 1) == 1 && byte == 'x' ? 23 : 24);
    }
    int status = 0;
    for (unsigned i = 0; i < sizeof deeds / sizeof *deeds; ++i) {
        for (int handled = 0; handled < 2; ++handled) {
            doing = deeds[i].name;
            fflush(stdout);
            const pid_t id = fork();
            if (id == 0) {
                prepare(handled);
                deeds[i].deed();
                _exit(0);
            }
            waitpid(id, &status, 0);
            if (WIFSIGNALED(status)) {
                printf("%s: ended by %d\n", doing, WTERMSIG(status));
            } else {
                printf("%s: exit %d\n", doing, WEXITSTATUS(status));
            }
        }
    }
    (void)!write(ends[1], "x", 1);
    waitpid(bystander, &status, 0);
    printf("bystander: exit %d\n", WIFEXITED(status) ? WEXITSTATUS(status) : -1);
    return 0;
}
