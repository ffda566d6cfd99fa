/* Memory in large pages is the same memory: whatever a program does to parts of it, its bytes are those it
 * wrote. More than a thousand steps over a window of 10 MiB, beside a plain account of what each page must
 * hold.
 *
 * SPDX-License-Identifier: MIT */
#include "say.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/prctl.h>

enum { page = 4096, large = 2 << 20, pages = 5 * large / page };

/* What each page of the window must hold: `value` in some of its words. */
enum { nothing, none, read_only, read_write };

static struct {
    int state;
    uint64_t value;
} book[pages];

static char* window;
static int ends[2]; /* of a pipe, to ask whether a page can be read */
static int zeros;   /* and whether it can be written */
static int memory;  /* as others see it */
static uint64_t seed;
static int wrong;

static unsigned pick(unsigned below) {
    seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
    return (unsigned)(seed >> 33) % below;
}

static uint64_t* at(int i) {
    return (uint64_t*)(window + (size_t)i * page);
}

static void complain(const char* what, int i) {
    if (wrong++ < 5) {
        printf("page %d: %s\n", i, what);
    }
}

static void check(int i) {
    char byte;
    if (book[i].state != read_write && (read(zeros, at(i), 1) != -1 || errno != EFAULT)) {
        complain("can be written", i);
    }
    if (book[i].state < read_only) {
        if (write(ends[1], at(i), 1) != -1 || errno != EFAULT) {
            complain("is there", i);
        }
        return;
    }
    if (write(ends[1], at(i), 1) != 1 || read(ends[0], &byte, 1) != 1) {
        complain("is not there", i);
        return;
    }
    uint64_t seen;
    if (pread(memory, &seen, 8, (off_t)(uintptr_t)&at(i)[3]) != 8 || seen != book[i].value) {
        complain("holds something else for others", i);
    }
    if (at(i)[0] != book[i].value || at(i)[3] != book[i].value || at(i)[page / 8 - 1] != book[i].value) {
        complain("holds something else", i);
    }
}

static void fill(int i, uint64_t value) {
    at(i)[0] = at(i)[3] = at(i)[page / 8 - 1] = value;
    book[i].value = value;
}

static void mark(int first, int count, int state, bool emptied) {
    for (int i = first; i < first + count; ++i) {
        book[i].state = state;
        if (emptied) {
            book[i].value = 0;
        }
    }
}

static void map(int first, int count) {
    void* got = mmap(at(first), (size_t)count * page, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    if (got == MAP_FAILED) {
        complain("cannot be mapped", first);
    }
    mark(first, count, read_write, true);
}

/* Whether all of them are mapped: what changes rights, or moves, asks for that. */
static bool are_mapped(int first, int count) {
    for (int i = first; i < first + count; ++i) {
        if (book[i].state == nothing) {
            return false;
        }
    }
    return true;
}

static void protect(int first, int count) {
    static const int rights[] = {0, PROT_NONE, PROT_READ, PROT_READ | PROT_WRITE};
    const int state = none + (int)pick(3);
    if (are_mapped(first, count)) {
        if (mprotect(at(first), (size_t)count * page, rights[state]) != 0) {
            complain("cannot be protected", first);
        }
        mark(first, count, state, false);
    }
}

/* Moves pages of one region to where others were. */
static void move(int first, int count) {
    const int to = (int)pick(pages - count);
    for (int i = first; i < first + count; ++i) {
        if (book[i].state != book[first].state || book[i].state == nothing) {
            return;
        }
    }
    if (abs(to - first) < count) {
        return;
    }
    const size_t bytes = (size_t)count * page;
    if (mremap(at(first), bytes, bytes, MREMAP_MAYMOVE | MREMAP_FIXED, at(to)) == MAP_FAILED) {
        /* Neighbours of another kind make it more than one region on one kernel or the other. */
        return;
    }
    for (int i = 0; i < count; ++i) {
        book[to + i] = book[first + i];
        book[first + i].state = nothing;
    }
}

static void write_some(int first, int count) {
    for (int i = first; i < first + count; ++i) {
        if (book[i].state == read_write && pick(3) != 0) {
            fill(i, seed);
        }
    }
}

/* A child sees what was there at its birth, and what it writes is its own. */
static void born(void) {
    memory = open("/proc/self/mem", O_RDONLY);
    for (int i = 0; i < pages; i += 3) {
        check(i);
    }
    for (int step = 0; step < 40; ++step) {
        const int i = (int)pick(pages);
        if (book[i].state == read_write) {
            fill(i, ~seed);
        }
        check(i);
    }
    _exit(wrong != 0);
}

static void step(void) {
    const int first = (int)pick(pages);
    const int most = pages - first;
    /* Often small, at times whole large pages, seldom nearly everything. */
    const int wish = pick(3) != 0 ? 1 + (int)pick(40) : pick(4) != 0 ? 1 + (int)pick(1200) : pages;
    const int count = wish < most ? wish : most;
    switch (pick(13)) {
        case 0:
            if (munmap(at(first), (size_t)count * page) != 0) {
                complain("cannot be unmapped", first);
            }
            mark(first, count, nothing, true);
            break;
        case 1:
        case 2:
            map(first, count);
            break;
        case 3:
            if (are_mapped(first, count)) {
                if (madvise(at(first), (size_t)count * page, MADV_DONTNEED) != 0) {
                    complain("cannot be dropped", first);
                }
                for (int i = first; i < first + count; ++i) {
                    book[i].value = 0;
                }
            }
            break;
        case 4:
            move(first, pick(2) == 0 || most < 1200 ? count : 600 + (int)pick(600));
            break;
        case 5:
            if (pick(8) == 0 && run_child(born) != 0) {
                complain("was wrong in a child", first);
            }
            break;
        case 6:
        case 7:
            protect(first, count);
            break;
        case 8:
            if (are_mapped(first, count)) {
                madvise(at(first), (size_t)count * page, pick(4) == 0 ? MADV_NOHUGEPAGE : MADV_HUGEPAGE);
            }
            break;
        default:
            write_some(first, count);
    }
    for (int i = 0; i < 12; ++i) {
        check((int)pick(pages));
    }
}

static char* aligned_room(size_t bytes) {
    char* room = mmap(NULL, bytes + large, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (room == MAP_FAILED) {
        perror("room");
        exit(1);
    }
    return room + (large - (uintptr_t)room % large) % large;
}

static void steps(void) {
    window = aligned_room((size_t)pages * page);
    mark(0, pages, read_write, true);
    say("advised", madvise(window, (size_t)pages * page, MADV_HUGEPAGE));
    for (int round = 0; round < 80; ++round) {
        seed = (uint64_t)round + 1;
        map(0, pages);
        madvise(window, (size_t)pages * page, MADV_HUGEPAGE);
        for (int i = 0; i < pages; ++i) {
            fill(i, seed + (uint64_t)i);
        }
        for (int i = 0; i < 15; ++i) {
            step();
        }
        for (int i = round % 5; i < pages; i += 5) {
            check(i);
        }
    }
    say("wrong", wrong);
    say("gone", munmap(window, (size_t)pages * page));
}

/* Threads write into their own parts of a large page while the parts beside them change. */
enum { writers = 3 };

static atomic_bool is_over;
static uint64_t written[writers];

static void* write_own(void* number) {
    const long i = (long)number;
    volatile uint64_t* const mine = (uint64_t*)(window + 64 * page + i * 16 * page);
    while (!atomic_load(&is_over)) {
        ++*mine;
        ++written[i];
    }
    return NULL;
}

static void neighbours(void) {
    for (int round = 0; round < 20; ++round) {
        window = aligned_room(large);
        madvise(window, large, MADV_HUGEPAGE);
        memset(window, 0, large);
        atomic_store(&is_over, false);
        pthread_t threads[writers];
        for (long i = 0; i < writers; ++i) {
            written[i] = 0;
            pthread_create(&threads[i], NULL, write_own, (void*)i);
        }
        for (int i = 0; i < 8; ++i) {
            char* beside = window + (65 + 16 * (i % writers) + i / writers) * page;
            memset(beside, i + 1, page);
            switch (i % 4) {
                case 0:
                    mprotect(beside, page, PROT_READ);
                    break;
                case 1:
                    madvise(beside, page, MADV_DONTNEED);
                    break;
                case 2:
                    mprotect(beside, page, PROT_READ | PROT_WRITE);
                    break;
                default:
                    munmap(beside + 4 * page, 4 * page);
            }
            mprotect(window + 256 * page, page * 8, i % 2 == 0 ? PROT_NONE : PROT_READ | PROT_WRITE);
            if (i % 4 != 1 && beside[7] != i + 1) {
                ++wrong;
            }
        }
        usleep(2000);
        atomic_store(&is_over, true);
        for (long i = 0; i < writers; ++i) {
            pthread_join(threads[i], NULL);
            if (*(uint64_t*)(window + 64 * page + i * 16 * page) != written[i]) {
                ++wrong;
            }
        }
        munmap(window, large);
    }
    say("lost beside changes", wrong);
}

static bool readable(const void* where) {
    char byte;
    return write(ends[1], where, 1) == 1 && read(ends[0], &byte, 1) == 1;
}

static char* advised;

static void after_fork(void) {
    say("left out", readable(advised));
    say("zeroed", advised[page]);
    say("copied", advised[2 * page]);
    say("kept after all", advised[3 * page]);
    /* It is passed on. */
    if (fork() == 0) {
        advised[page] = 7;
        if (fork() == 0) {
            say("zeroed again", advised[page]);
            _exit(0);
        }
        wait(NULL);
        _exit(0);
    }
    wait(NULL);
}

static void advice(void) {
    advised = mmap(NULL, 8 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    memset(advised, 5, 8 * page);
    say("not for a child", madvise(advised, page, MADV_DONTFORK));
    say("zeros for a child", madvise(advised + page, page, MADV_WIPEONFORK));
    say("zeros, and not", madvise(advised + 3 * page, page, MADV_WIPEONFORK));
    say("taken back", madvise(advised + 3 * page, page, MADV_KEEPONFORK));
    say("here", advised[0] + advised[page]);
    say("child", run_child(after_fork));
    say("for a child again", madvise(advised, page, MADV_DOFORK));
    munmap(advised + 5 * page, page);
    say("over a gap", madvise(advised + 4 * page, 3 * page, MADV_DONTFORK));
    say("nothing", madvise(advised, 0, MADV_HUGEPAGE));
    say("not on a page", madvise(advised + 1, page, MADV_HUGEPAGE));
    say("no such advice", madvise(advised, page, 77));
    char* shared = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    say("zeros of what is shared", madvise(shared, page, MADV_WIPEONFORK));
    say("large pages", prctl(PR_GET_THP_DISABLE, 0, 0, 0, 0));
    say("none any more", prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0));
    say("asked", prctl(PR_GET_THP_DISABLE, 0, 0, 0, 0));
    say("again", prctl(PR_SET_THP_DISABLE, 0, 0, 0, 0));
    say("too much said", prctl(PR_GET_THP_DISABLE, 1, 0, 0, 0));
}

int main(void) {
    zeros = open("/dev/zero", O_RDONLY);
    memory = open("/proc/self/mem", O_RDONLY);
    if (pipe(ends) != 0 || zeros < 0 || memory < 0) {
        perror("files");
        return 1;
    }
    steps();
    neighbours();
    advice();
    return 0;
}
