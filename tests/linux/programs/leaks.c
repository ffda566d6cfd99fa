/* Many births, ends, mappings and descriptors leave the guest's memory as it was.
 * SPDX-License-Identifier: MIT */
#include "free_pages.h"
#include "say.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/wait.h>

static void fork_and_exit(void) {
    if (fork() == 0) {
        _exit(0);
    }
    wait(NULL);
}

static void fork_and_fault(void) {
    if (fork() == 0) {
        char* p = mmap(NULL, 64 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        memset(p, 1, 64 * 4096);
        *(volatile char*)8 = 1;
    }
    wait(NULL);
}

static void fork_and_execute(void) {
    if (fork() == 0) {
        char* const argv[] = {"leaks", "child", NULL};
        execv("/proc/self/exe", argv);
        execv("/tests/leaks", argv);
        _exit(1);
    }
    wait(NULL);
}

static void* nothing(void* argument) {
    return argument;
}

static void thread(void) {
    pthread_t id;
    pthread_create(&id, NULL, nothing, NULL);
    pthread_join(id, NULL);
}

static void descriptors(void) {
    int ends[2];
    if (pipe(ends) == 0) {
        (void)!write(ends[1], "x", 1);
        close(ends[0]);
        close(ends[1]);
    }
    close(open("/", O_RDONLY));
}

static void mappings(void) {
    char* p = mmap(NULL, 32 * 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    memset(p, 1, 32 * 4096);
    p = mremap(p, 32 * 4096, 16 * 4096, 0);
    munmap(p, 16 * 4096);
}

static void many(const char* what, void (*once)(void), int count) {
    for (int i = 0; i < 20; ++i) {
        once();
    }
    const long before = free_pages();
    for (int i = 0; i < count; ++i) {
        once();
    }
    /* A processor has a few frames and stacks in stock, and the last one to end may still be on its way. */
    const long lost = before - free_pages();
    printf("%s: %s\n", what, lost < 160 ? "nothing lost" : "LOST");
    if (lost >= 160) {
        printf("%ld pages of %d turns\n", lost, count);
    }
    fflush(stdout);
}

int main(int argc, char** argv) {
    (void)argv;
    if (argc == 2) {
        return 0;
    }
    many("fork and exit", fork_and_exit, 400);
    many("fork and fault", fork_and_fault, 200);
    many("fork and execute", fork_and_execute, 200);
    many("thread", thread, 400);
    many("descriptors", descriptors, 1000);
    many("mappings", mappings, 400);
    return 0;
}
