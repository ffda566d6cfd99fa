/* Threads that map, unmap, protect, fork and end, on all processors at once. With a module's path: shows a
 * processor that it makes deaf to shootdowns pages that it takes away.
 * SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { page = 4096, pages = 64, rounds = 100 };

static void must(int good, const char* what) {
    if (!good) {
        perror(what);
        exit(1);
    }
}

static char* map(size_t length) {
    char* memory = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    must(memory != MAP_FAILED, "mmap");
    return memory;
}

static void stay_on(int cpu) {
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    must(sched_setaffinity(0, sizeof set, &set) == 0, "sched_setaffinity");
}

static char* shared; /* one of the threads takes it away now and then; others read what is there */

static void round_of(unsigned number, unsigned round) {
    char* memory = map(pages * page);
    memset(memory, 1, pages * page);
    must(madvise(memory + 8 * page, 4 * page, MADV_DONTNEED) == 0, "madvise");
    char* moved = mremap(memory, pages * page, 2 * pages * page, MREMAP_MAYMOVE);
    must(moved != MAP_FAILED, "mremap");
    must(mprotect(moved, pages / 2 * page, PROT_READ) == 0, "mprotect");
    moved[pages * page + round] = 1;
    if (number == 0) {
        must(madvise(shared, pages * page, MADV_DONTNEED) == 0, "madvise");
    }
    for (unsigned i = 0; i < pages; ++i) {
        shared[i * page] = (char)number;
    }
    if (round % 25 == number) {
        const pid_t child = fork();
        must(child >= 0, "fork");
        if (child == 0) {
            memset(moved + pages / 2 * page, 2, pages / 2 * page);
            _exit(moved[0] == 1 ? 0 : 1);
        }
        memset(moved + pages / 2 * page, 3, pages / 2 * page);
        int status = 1;
        must(waitpid(child, &status, 0) == child && status == 0, "the child");
    }
    must(munmap(moved, 2 * pages * page) == 0, "munmap");
}

static void* storm(void* argument) {
    const unsigned number = (unsigned)(size_t)argument;
    for (unsigned round = 0; round < rounds; ++round) {
        round_of(number, round);
    }
    return NULL;
}

static atomic_int is_there, is_gone;

enum { shown = 16 };

static void* look(void* argument) {
    stay_on(1);
    for (unsigned i = 0; i < shown; ++i) {
        ((volatile char*)argument)[i * page] = 1;
    }
    atomic_store(&is_there, 1);
    while (!atomic_load(&is_gone)) {
    }
    return NULL;
}

static void show_deaf(const char* module) {
    char* memory = map(shown * page);
    pthread_t looker;
    stay_on(0);
    must(pthread_create(&looker, NULL, look, memory) == 0, "pthread_create");
    while (!atomic_load(&is_there)) {
    }
    char options[100];
    snprintf(options, sizeof options, "mistake=deaf cpu=1 pages=%d address=%p", shown, (void*)memory);
    must(syscall(SYS_finit_module, open(module, O_RDONLY), options, 0) == 0, "finit_module");
    atomic_store(&is_gone, 1);
    must(pthread_join(looker, NULL) == 0, "pthread_join");
}

int main(int count, char** arguments) {
    enum { threads = 4 };

    pthread_t all[threads];
    if (count > 1) {
        show_deaf(arguments[1]);
        return 0;
    }
    shared = map(pages * page);
    for (size_t i = 0; i < threads; ++i) {
        must(pthread_create(&all[i], NULL, storm, (void*)i) == 0, "pthread_create");
    }
    for (size_t i = 0; i < threads; ++i) {
        must(pthread_join(all[i], NULL) == 0, "pthread_join");
    }
    puts("storm: over");
    return 0;
}
