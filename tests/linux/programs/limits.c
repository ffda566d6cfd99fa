/* Limits of a process: what is refused at each, with which error, and that what was refused works again
 * later.
 * SPDX-License-Identifier: MIT */
#include "say.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>

static void set(int which, rlim_t soft) {
    struct rlimit limit;
    getrlimit(which, &limit);
    limit.rlim_cur = soft;
    setrlimit(which, &limit);
}

static void address_space(void) {
    set(RLIMIT_AS, 64UL << 20);
    void* big = mmap(NULL, 128UL << 20, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    say_done("more than all", big == MAP_FAILED ? -1 : 0);
    char* part = mmap(NULL, 32UL << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    say_done("half", part == MAP_FAILED ? -1 : 0);
    say_done("again",
             mmap(NULL, 40UL << 20, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED ? -1 : 0);
    say_done("larger", mremap(part, 32UL << 20, 80UL << 20, MREMAP_MAYMOVE) == MAP_FAILED ? -1 : 0);
    munmap(part, 32UL << 20);
    say_done("after the first went",
             mmap(NULL, 40UL << 20, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED ? -1 : 0);
    set(RLIMIT_AS, RLIM_INFINITY);
    say_done("without a limit",
             mmap(NULL, 128UL << 20, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED ? -1 : 0);
}

static void heap(void) {
    char* const before = sbrk(0);
    set(RLIMIT_DATA, 8UL << 20);
    say_done("heap within", sbrk(1 << 20) == (void*)-1 ? -1 : 0);
    say_done("heap beyond", sbrk(64 << 20) == (void*)-1 ? -1 : 0);
    printf("moved by %ld\n", (long)((char*)sbrk(0) - before));
}

static int deep(int depth) {
    volatile char room[4096];
    room[0] = (char)depth;
    return depth == 0 ? room[0] : deep(depth - 1) + room[0];
}

static void stack(void) {
    set(RLIMIT_STACK, 1UL << 20);
    deep(1000); /* 4 MiB */
}

static void stack_allowed(void) {
    deep(1000);
}

static void* sleep_long(void* nothing) {
    pause();
    return nothing;
}

static void processes(void) {
    if (setuid(54321) != 0) {
        return;
    }
    set(RLIMIT_NPROC, 4);
    int count = 0;
    pid_t ids[16];
    while (count < 16 && (ids[count] = fork()) > 0) {
        ++count;
    }
    if (count < 16 && ids[count] == 0) {
        pause();
        _exit(0);
    }
    printf("processes besides oneself: %d, then %s\n", count, strerrorname_np(errno));
    pthread_t thread;
    printf("a thread: %s\n", strerrorname_np(pthread_create(&thread, NULL, sleep_long, NULL)));
    for (int i = 0; i < count; ++i) {
        kill(ids[i], SIGKILL);
        waitpid(ids[i], NULL, 0);
    }
    const pid_t id = fork();
    if (id == 0) {
        _exit(0);
    }
    say_done("afterwards", id);
    waitpid(id, NULL, 0);
}

static void descriptors(void) {
    set(RLIMIT_NOFILE, 10);
    int last = -1;
    int count = 0;
    int fd;
    while ((fd = open("/", O_RDONLY)) >= 0) {
        last = fd;
        ++count;
    }
    printf("%d descriptors, then %s\n", count, strerrorname_np(errno));
    int ends[2];
    say("pipe", pipe(ends));
    say("dup", dup(0));
    say("dup2 beyond", dup2(0, 10));
    close(last);
    say("afterwards", open("/", O_RDONLY));
}

int main(void) {
    run_child(address_space);
    run_child(heap);
    printf("a stack of 4 MiB in 1: signal %d\n", WTERMSIG(run_child(stack)));
    printf("in 8: signal %d\n", WTERMSIG(run_child(stack_allowed)));
    run_child(processes);
    run_child(descriptors);
    return 0;
}
