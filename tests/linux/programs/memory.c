/* Mapping and unmapping: what works, and with what error the rest is refused.
 * SPDX-License-Identifier: MIT */
#include "say.h"

#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/wait.h>

enum { PAGE = 4096 };

static sigjmp_buf back;
static volatile int caught;
static volatile int code;

static void on_fault(int signal, siginfo_t* info, void* context) {
    (void)context;
    caught = signal;
    code = info->si_code;
    siglongjmp(back, 1);
}

/* What an access ends with: 0, or signal * 100 + si_code. */
static long try_access(volatile char* at, int write_it) {
    if (sigsetjmp(back, 1) != 0) {
        return caught * 100 + code;
    }
    if (write_it) {
        *at = 1;
    } else {
        (void)*at;
    }
    return 0;
}

static void* map(size_t pages, int protection) {
    return mmap(NULL, pages * PAGE, protection, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

static void anonymous(void) {
    char* p = map(4, PROT_READ | PROT_WRITE);
    say("zero-filled", p[0] + p[PAGE] + p[4 * PAGE - 1]);
    memset(p, 'x', 4 * PAGE);
    say("munmap of the second page", munmap(p + PAGE, PAGE));
    say("first page", try_access(p, 1));
    say("second page", try_access(p + PAGE, 0));
    say("third page", p[2 * PAGE]);
    say("munmap of a hole and more", munmap(p, 4 * PAGE));
    say("munmap of nothing", munmap(p, 4 * PAGE));
    say("munmap, unaligned", munmap(p + 1, PAGE));
    say("munmap, length 0", munmap(p, 0));
    say("munmap beyond the end", munmap((void*)0x7fffffffe000, 1L << 40));
    say_done("mmap, length 0", (long)mmap(NULL, 0, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    say_done("mmap, no type", (long)mmap(NULL, PAGE, PROT_READ, MAP_ANONYMOUS, -1, 0));
    say_done("mmap, bad descriptor", (long)mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, 99, 0));
    say_done("mmap, odd offset", (long)syscall(SYS_mmap, NULL, PAGE, PROT_READ, MAP_PRIVATE, 0, 5));
    say_done("mmap, too long", (long)mmap(NULL, 1UL << 62, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    say_done("mmap, fixed and unaligned",
             (long)mmap((void*)0x10001, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0));
    say_done("mmap, fixed in the kernel's half", (long)mmap((void*)0xffff800000000000, PAGE, PROT_READ,
                                                            MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0));
}

static void protection(void) {
    char* p = map(3, PROT_READ | PROT_WRITE);
    p[0] = p[PAGE] = p[2 * PAGE] = 7;
    say("mprotect read", mprotect(p + PAGE, PAGE, PROT_READ));
    say("read it", try_access(p + PAGE, 0));
    say("write it", try_access(p + PAGE, 1));
    say("write before it", try_access(p, 1));
    say("mprotect none", mprotect(p + PAGE, PAGE, PROT_NONE));
    say("read none", try_access(p + PAGE, 0));
    int pipe_ends[2];
    say("pipe", pipe(pipe_ends));
    say("the kernel reads none", write(pipe_ends[1], p + PAGE, 1));
    say("mprotect back", mprotect(p + PAGE, PAGE, PROT_READ | PROT_WRITE));
    say("what was there", p[PAGE]);
    say("mprotect of a hole", munmap(p + PAGE, PAGE) || mprotect(p, 3 * PAGE, PROT_READ));
    say("up to the hole", write(pipe_ends[1], p, 1));
    say("mprotect none, with a hole", mprotect(p, 3 * PAGE, PROT_NONE));
    say("none before it", write(pipe_ends[1], p, 1));
    say("as it was behind", write(pipe_ends[1], p + 2 * PAGE, 1));
    say("mprotect from within a hole", mprotect(p + PAGE, 2 * PAGE, PROT_NONE));
    say("as it was", write(pipe_ends[1], p + 2 * PAGE, 1));
    say("mprotect, unaligned", mprotect(p + 1, PAGE, PROT_READ));
    say("mprotect, length 0", mprotect(p, 0, PROT_READ));
    say("null pointer", try_access(NULL, 0));
    say("null pointer and something", try_access((char*)0x1000, 1));
    say("kernel half", try_access((char*)0xffff800000000000, 0));
    say("kernel text", try_access((char*)0xffffffff80200000, 1));
    say("non-canonical", try_access((char*)0x8000000000000000, 0));
    say("top of the lower half", try_access((char*)0x7ffffffff000, 0));
}

static void growing(void) {
    char* p = map(2, PROT_READ | PROT_WRITE);
    p[0] = 'a';
    p[PAGE] = 'b';
    char* q = mremap(p, 2 * PAGE, 64 * PAGE, MREMAP_MAYMOVE);
    say_done("mremap grows", (long)q);
    printf("contents: %c%c%d\n", q[0], q[PAGE], q[63 * PAGE]);
    say("mremap shrinks", mremap(q, 64 * PAGE, PAGE, 0) == q);
    say("behind it", try_access(q + PAGE, 0));
    say_done("mremap of nothing", (long)mremap((void*)0x10000000, PAGE, 2 * PAGE, MREMAP_MAYMOVE));
    say_done("mremap, unaligned", (long)mremap(q + 1, PAGE, 2 * PAGE, MREMAP_MAYMOVE));
    say_done("mremap to length 0", (long)mremap(q, PAGE, 0, MREMAP_MAYMOVE));
    p = map(1, PROT_READ | PROT_WRITE);
    p[0] = 5;
    say("MADV_DONTNEED", madvise(p, PAGE, MADV_DONTNEED));
    say("zero again", p[0]);
    say("madvise, unaligned", madvise(p + 1, PAGE, MADV_DONTNEED));
    say("madvise, unknown", madvise(p, PAGE, 12345));
    char* old = sbrk(0);
    say("sbrk", sbrk(10 * PAGE) == old);
    old[9 * PAGE] = 1;
    say("sbrk back", sbrk(-10 * PAGE) != (void*)-1);
    say("the heap's end moved back", sbrk(0) == old);
}

static void sharing(void) {
    int* private = map(1, PROT_READ | PROT_WRITE);
    int* shared = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    *private = *shared = 1;
    if (fork() == 0) {
        *private = *shared = 2;
        _exit(*private);
    }
    int status = 0;
    wait(&status);
    printf("child %d, private %d, shared %d\n", WEXITSTATUS(status), *private, *shared);
}

/* Pages on both sides of what one page table maps, by what may be done with them, in a child and in its
 * parent. */
static void inheriting(void) {
    enum { REACH = 2 << 20 };

    char* p = map(4 * REACH / PAGE, PROT_READ | PROT_WRITE);
    char* border = (char*)(((uintptr_t)p + REACH) & ~(uintptr_t)(REACH - 1));
    char* at[] = {border - PAGE, border, border + PAGE, border + REACH - PAGE, border + REACH};
    madvise(p, 4 * REACH, MADV_NOHUGEPAGE);
    for (int i = 0; i < 5; ++i) {
        *at[i] = (char)('a' + i);
    }
    say("none", mprotect(at[1], PAGE, PROT_NONE));
    say("read only", mprotect(at[2], PAGE, PROT_READ));
    for (int generation = 0; generation < 2; ++generation) {
        const pid_t child = fork();
        if (child == 0) {
            say("child reads none", try_access(at[1], 0));
            say("child writes read only", try_access(at[2], 1));
            say("none no more", mprotect(at[1], PAGE, PROT_READ | PROT_WRITE));
            printf("child has %c%c%c%c%c\n", *at[0], *at[1], *at[2], *at[3], *at[4]);
            *at[0] = *at[1] = *at[3] = 'x';
            say("munmap of a table's reach", munmap(border, REACH));
            say("child reads there", try_access(at[3], 0));
            printf("around it %c%c\n", *at[0], *at[4]);
            say("child forgets", madvise(at[0], PAGE, MADV_DONTNEED));
            say("what it reads then", *at[0]);
            fflush(stdout);
            _exit(0);
        }
        waitpid(child, NULL, 0);
        say("parent reads none", try_access(at[1], 0));
        printf("parent has %c-%c%c%c\n", *at[0], *at[2], *at[3], *at[4]);
        fflush(stdout);
        *at[0] = *at[3] = 'p';
    }
    say("parent's none no more", mprotect(at[1], PAGE, PROT_READ));
    printf("in it %c\n", *at[1]);
    say("munmap", munmap(p, 4 * REACH));
    say("parent reads there", try_access(at[4], 0));
}

int main(void) {
    struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO};
    sigaction(SIGSEGV, &action, NULL);
    sigaction(SIGBUS, &action, NULL);
    anonymous();
    protection();
    growing();
    sharing();
    fflush(stdout);
    inheriting();
    return 0;
}
