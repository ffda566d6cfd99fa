/* The vdso: found, looked up and called by hand, and held against the calls; what a program may do to it.
 * SPDX-License-Identifier: MIT */
#include "say.h"

#include <elf.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>

enum { PAGE = 4096, THREADS = 4, ROUNDS = 20000, BILLION = 1000000000 };

static const char* object; /* its ELF header */
static int (*vdso_gettime)(clockid_t, struct timespec*);
static int (*vdso_getres)(clockid_t, struct timespec*);
static int (*vdso_gettimeofday)(struct timeval*, struct timezone*);
static time_t (*vdso_time)(time_t*);
static int (*vdso_getcpu)(unsigned*, unsigned*, void*);

static const struct {
    const char* name;
    clockid_t id;
} clocks[] = {{"REALTIME", CLOCK_REALTIME},
              {"MONOTONIC", CLOCK_MONOTONIC},
              {"PROCESS_CPUTIME_ID", CLOCK_PROCESS_CPUTIME_ID},
              {"THREAD_CPUTIME_ID", CLOCK_THREAD_CPUTIME_ID},
              {"MONOTONIC_RAW", CLOCK_MONOTONIC_RAW},
              {"REALTIME_COARSE", CLOCK_REALTIME_COARSE},
              {"MONOTONIC_COARSE", CLOCK_MONOTONIC_COARSE},
              {"BOOTTIME", CLOCK_BOOTTIME},
              {"TAI", CLOCK_TAI},
              {"number 77", 77},
              {"number -1", -1}};

enum { CLOCKS = sizeof clocks / sizeof clocks[0] };

static const void* dynamic(int64_t tag) {
    const Elf64_Ehdr* header = (const void*)object;
    const Elf64_Phdr* parts = (const void*)(object + header->e_phoff);
    for (int i = 0; i < header->e_phnum; ++i) {
        if (parts[i].p_type == PT_DYNAMIC) {
            const Elf64_Dyn* entry = (const void*)(object + parts[i].p_offset);
            for (; entry->d_tag != DT_NULL; ++entry) {
                if (entry->d_tag == tag) {
                    return object + entry->d_un.d_val;
                }
            }
        }
    }
    return NULL;
}

static unsigned gnu_hash(const char* name) {
    unsigned hash = 5381;
    for (; *name != '\0'; ++name) {
        hash = hash * 33 + (unsigned char)*name;
    }
    return hash;
}

static unsigned old_hash(const char* name) {
    unsigned hash = 0;
    for (; *name != '\0'; ++name) {
        hash = (hash << 4) + (unsigned char)*name;
        hash = (hash ^ (hash >> 24 & 0xf0)) & 0x0fffffff;
    }
    return hash;
}

/* The number of a symbol by either table, 0 when it is not there. */
static unsigned find(const char* name, int by_gnu) {
    const char* strings = dynamic(DT_STRTAB);
    const Elf64_Sym* symbols = dynamic(DT_SYMTAB);
    if (!by_gnu) {
        const unsigned* table = dynamic(DT_HASH);
        unsigned at = table[2 + old_hash(name) % table[0]];
        while (at != 0 && strcmp(strings + symbols[at].st_name, name) != 0) {
            at = table[2 + table[0] + at];
        }
        return at;
    }
    const unsigned* table = dynamic(DT_GNU_HASH);
    const unsigned hash = gnu_hash(name);
    const uint64_t* bloom = (const void*)(table + 4);
    const uint64_t word = bloom[hash / 64 % table[2]];
    if ((word >> hash % 64 & word >> (hash >> table[3]) % 64 & 1) == 0) {
        return 0;
    }
    const unsigned* buckets = (const void*)(bloom + table[2]);
    const unsigned* chain = buckets + table[0];
    unsigned at = buckets[hash % table[0]];
    for (; at != 0; ++at) {
        if ((chain[at - table[1]] | 1) == (hash | 1) && strcmp(strings + symbols[at].st_name, name) == 0) {
            return at;
        }
        if ((chain[at - table[1]] & 1) != 0) {
            return 0;
        }
    }
    return at;
}

static const char* version_of(unsigned symbol) {
    const Elf64_Half* versions = dynamic(DT_VERSYM);
    const Elf64_Verdef* definition = dynamic(DT_VERDEF);
    while (definition->vd_ndx != (versions[symbol] & 0x7fff)) {
        if (definition->vd_next == 0) {
            return "none";
        }
        definition = (const void*)((const char*)definition + definition->vd_next);
    }
    const Elf64_Verdaux* word = (const void*)((const char*)definition + definition->vd_aux);
    return (const char*)dynamic(DT_STRTAB) + word->vda_name;
}

static void* look_up(const char* name) {
    const unsigned at = find(name, 0);
    const Elf64_Sym* symbol = (const Elf64_Sym*)dynamic(DT_SYMTAB) + at;
    printf("%s: in both tables %d, version %s, function %d, global or weak %d, has a size %d\n", name,
           at != 0 && find(name, 1) == at, version_of(at), ELF64_ST_TYPE(symbol->st_info) == STT_FUNC,
           ELF64_ST_BIND(symbol->st_info) != STB_LOCAL, symbol->st_size != 0);
    return (void*)(uintptr_t)(object + symbol->st_value);
}

static void shape(void) {
    const Elf64_Ehdr* header = (const void*)object;
    const Elf64_Phdr* parts = (const void*)(object + header->e_phoff);
    int loads = 0;
    int unwinds = 0;
    printf("ELF64 for this machine: %d\n", memcmp(header->e_ident, ELFMAG, SELFMAG) == 0 &&
                                               header->e_ident[EI_CLASS] == ELFCLASS64 &&
                                               header->e_type == ET_DYN && header->e_machine == EM_X86_64);
    for (int i = 0; i < header->e_phnum; ++i) {
        if (parts[i].p_type == PT_LOAD) {
            ++loads;
            printf("loaded at %d, rights %x\n", (int)parts[i].p_vaddr, parts[i].p_flags);
        }
        unwinds += parts[i].p_type == PT_GNU_EH_FRAME;
    }
    printf("segments %d, tables to unwind by %d\n", loads, unwinds);
    const char* strings = dynamic(DT_STRTAB);
    /* dynamic() has added the address to what is an offset in the strings. */
    printf("called %s; nothing to relocate %d\n", strings + ((const char*)dynamic(DT_SONAME) - object),
           dynamic(DT_RELA) == NULL && dynamic(DT_JMPREL) == NULL);
    printf("no such function: %u %u\n", find("__vdso_nothing", 0), find("__vdso_nothing", 1));
    *(void**)&vdso_gettime = look_up("__vdso_clock_gettime");
    *(void**)&vdso_getres = look_up("__vdso_clock_getres");
    *(void**)&vdso_gettimeofday = look_up("__vdso_gettimeofday");
    *(void**)&vdso_time = look_up("__vdso_time");
    *(void**)&vdso_getcpu = look_up("__vdso_getcpu");
    fflush(stdout);
}

static int64_t count(const struct timespec* time) {
    return time->tv_sec * (int64_t)BILLION + time->tv_nsec;
}

static int64_t raw_time(clockid_t clock) {
    struct timespec time = {-1, -1};
    syscall(SYS_clock_gettime, clock, &time);
    return count(&time);
}

static int64_t own_time(clockid_t clock) {
    struct timespec time = {-1, -1};
    vdso_gettime(clock, &time);
    return count(&time);
}

/* A reading of the vdso lies between two of the call, again and again. */
static void agreement(void) {
    for (int i = 0; i < CLOCKS; ++i) {
        struct timespec own = {7, 7};
        struct timespec raw = {7, 7};
        const int is_clock = vdso_gettime(clocks[i].id, &own);
        int outside = 0;
        int odd = 0;
        for (int j = 0; j < 1000 && is_clock == 0; ++j) {
            const int64_t before = raw_time(clocks[i].id);
            vdso_gettime(clocks[i].id, &own);
            const int64_t after = raw_time(clocks[i].id);
            outside += count(&own) < before || after < count(&own);
            odd += own.tv_nsec < 0 || own.tv_nsec >= BILLION;
        }
        printf("%s: %d, outside %d, odd %d", clocks[i].name, is_clock, outside, odd);
        own.tv_nsec = raw.tv_nsec = 7;
        const long told = syscall(SYS_clock_getres, clocks[i].id, &raw) == 0 ? 0 : -errno;
        const int own_told = vdso_getres(clocks[i].id, &own);
        printf("; resolution %d, as the call's %d, without a place for it %d\n", own_told,
               own_told == told && count(&own) == count(&raw), vdso_getres(clocks[i].id, NULL));
    }
    int outside = 0;
    struct timezone zone = {1, 1};
    for (int j = 0; j < 1000; ++j) {
        struct timeval own;
        struct timeval before;
        struct timeval after;
        syscall(SYS_gettimeofday, &before, NULL);
        vdso_gettimeofday(&own, &zone);
        syscall(SYS_gettimeofday, &after, NULL);
        outside += timercmp(&own, &before, <) || timercmp(&after, &own, <) || own.tv_usec >= 1000000;
    }
    printf("gettimeofday: outside %d, zone %d %d\n", outside, zone.tz_minuteswest, zone.tz_dsttime);
    printf("gettimeofday of nothing: %d\n", vdso_gettimeofday(NULL, NULL));
    outside = 0;
    for (int j = 0; j < 1000; ++j) {
        time_t stored = 0;
        const time_t before = syscall(SYS_time, NULL);
        const time_t own = vdso_time(&stored);
        outside += own < before || syscall(SYS_time, NULL) < own || stored != own || vdso_time(NULL) < own;
    }
    printf("time: outside %d\n", outside);
    fflush(stdout);
}

/* A thread that is bound to a processor is told that one. */
static void processors(void) {
    cpu_set_t all;
    int wrong = 0;
    int seen = 0;
    sched_getaffinity(0, sizeof all, &all);
    for (unsigned i = 0; i < CPU_SETSIZE; ++i) {
        unsigned cpu = 77777;
        unsigned node = 77777;
        unsigned raw_node = 0;
        cpu_set_t one;
        if (!CPU_ISSET(i, &all)) {
            continue;
        }
        CPU_ZERO(&one);
        CPU_SET(i, &one);
        sched_setaffinity(0, sizeof one, &one);
        syscall(SYS_getcpu, NULL, &raw_node, NULL);
        wrong += vdso_getcpu(&cpu, &node, NULL) != 0 || cpu != i || node != raw_node;
        wrong += vdso_getcpu(NULL, NULL, NULL) != 0;
        unsigned low, high, number;
        __asm__ volatile("rdtscp" : "=a"(low), "=d"(high), "=c"(number));
        wrong += (number & 0xfff) != i;
        ++seen;
    }
    sched_setaffinity(0, sizeof all, &all);
    printf("processors: some %d, wrong %d\n", seen > 0, wrong);
    fflush(stdout);
}

static _Atomic int64_t latest;
static _Atomic int backwards;

/* Who has seen a time that any other thread had, from the vdso or the call, never gets an earlier one. */
static void* chase(void* clock) {
    for (int i = 0; i < ROUNDS; ++i) {
        int64_t seen = atomic_load(&latest);
        const clockid_t which = *(const clockid_t*)clock;
        const int64_t now = i % 4 == 0 ? raw_time(which) : own_time(which);
        if (now < seen) {
            atomic_fetch_add(&backwards, 1);
        }
        while (seen < now && !atomic_compare_exchange_weak(&latest, &seen, now)) {
        }
        if (i % 1000 == 0) {
            sched_yield();
        }
    }
    return NULL;
}

static void order(void) {
    for (int i = 0; i < CLOCKS; ++i) {
        pthread_t threads[THREADS];
        if (clocks[i].id != CLOCK_REALTIME && clocks[i].id != CLOCK_MONOTONIC &&
            clocks[i].id != CLOCK_BOOTTIME) {
            continue;
        }
        latest = 0;
        for (int j = 0; j < THREADS; ++j) {
            pthread_create(&threads[j], NULL, chase, (void*)(uintptr_t)&clocks[i].id);
        }
        for (int j = 0; j < THREADS; ++j) {
            pthread_join(threads[j], NULL);
        }
        printf("%s among threads: backwards %d\n", clocks[i].name, backwards);
        fflush(stdout);
    }
}

struct place {
    uintptr_t begin, end;
    char rights[5];
};

static struct place place_of(const char* name) {
    struct place found = {0, 0, "none"};
    char line[512];
    FILE* maps = fopen("/proc/self/maps", "r");
    while (fgets(line, sizeof line, maps) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        const char* last = strrchr(line, ' ');
        if (last != NULL && strcmp(last + 1, name) == 0) {
            sscanf(line, "%lx-%lx %4s", &found.begin, &found.end, found.rights);
        }
    }
    fclose(maps);
    return found;
}

static sigjmp_buf back;
static volatile int code;

static void on_fault(int signal, siginfo_t* info, void* context) {
    (void)context;
    code = signal * 100 + info->si_code;
    siglongjmp(back, 1);
}

/* What becomes of a write there, or of a call: 0, or signal * 100 + si_code. */
static int try_write(uintptr_t at) {
    if (sigsetjmp(back, 1) != 0) {
        return code;
    }
    *(volatile char*)at = 1;
    return 0;
}

static int try_call(uintptr_t at) {
    if (sigsetjmp(back, 1) != 0) {
        return code;
    }
    ((void (*)(void))at)();
    return 0;
}

static void rights(const struct place* code_at, const struct place* data) {
    printf("[vdso] %s where the vector says: %d\n", code_at->rights, code_at->begin == (uintptr_t)object);
    printf("[vvar] %s below it: %d\n", data->rights, data->end <= code_at->begin && data->begin != 0);
    printf("write to the code %d, to the data %d; call of the data %d\n", try_write(code_at->begin),
           try_write(data->begin), try_call(data->begin));
    if (sigsetjmp(back, 1) == 0) {
        vdso_gettime(CLOCK_MONOTONIC, (void*)8);
        code = 0;
    }
    printf("a time for nobody: %d\n", code);
    const int zeros = open("/dev/zero", O_RDONLY);
    say("read into the code", read(zeros, (void*)code_at->begin, 16));
    say("read into the data", read(zeros, (void*)data->begin, 16));
    say("the data dropped", madvise((void*)data->begin, PAGE, MADV_DONTNEED));
    say("the data writable", mprotect((void*)data->begin, PAGE, PROT_READ | PROT_WRITE));
    say("the data executable", mprotect((void*)data->begin, PAGE, PROT_READ | PROT_EXEC));
    say_done("more code", (long)mremap((void*)code_at->begin, PAGE, 1L << 20, MREMAP_MAYMOVE));
    const int memory = open("/proc/self/mem", O_RDWR);
    say("to the data by way of /proc", pwrite(memory, "x", 1, (off_t)data->begin));
    char byte;
    say("from the data by way of /proc", pread(memory, &byte, 1, (off_t)data->begin));
    close(memory);
    close(zeros);
}

/* Runs `what` in a child, which says what it says and ends. */
static void in_child(void (*what)(const struct place*, const struct place*), const struct place* code_at,
                     const struct place* data) {
    fflush(stdout);
    if (fork() == 0) {
        what(code_at, data);
        fflush(stdout);
        _exit(0);
    }
    int status = 0;
    wait(&status);
    printf("child: status %x\n", status);
}

static void kept(const struct place* code_at, const struct place* data) {
    const struct place now = place_of("[vdso]");
    const int64_t before = raw_time(CLOCK_MONOTONIC);
    const int64_t own = own_time(CLOCK_MONOTONIC);
    printf("after fork: there %d, %d, works %d\n", now.begin == code_at->begin && now.end == code_at->end,
           place_of("[vvar]").begin == data->begin, before <= own && own <= raw_time(CLOCK_MONOTONIC));
}

/* The last byte of its pages: nothing that is used. */
static volatile char* spare(const struct place* code_at) {
    return (char*)code_at->end - 1;
}

static void written(const struct place* code_at, const struct place* data) {
    (void)data;
    const size_t size = code_at->end - code_at->begin;
    say("made writable", mprotect((void*)code_at->begin, size, PROT_READ | PROT_WRITE));
    *spare(code_at) = 'x';
    say("and executable again", mprotect((void*)code_at->begin, size, PROT_READ | PROT_EXEC));
    printf("own copy: %c, works %d\n", *spare(code_at), own_time(CLOCK_MONOTONIC) > 0);
}

static void poked(const struct place* code_at, const struct place* data) {
    (void)data;
    const int memory = open("/proc/self/mem", O_RDWR);
    say("as a debugger does", pwrite(memory, "y", 1, (off_t)(code_at->end - 1)));
    printf("own copy: %c, works %d\n", *spare(code_at), own_time(CLOCK_MONOTONIC) > 0);
}

static void unmapped(const struct place* code_at, const struct place* data) {
    (void)data;
    say("unmapped", munmap((void*)code_at->begin, code_at->end - code_at->begin));
    printf("maps: %s\n", place_of("[vdso]").rights);
    say("the call", raw_time(CLOCK_MONOTONIC) > 0 ? 0 : -1);
}

static uintptr_t place_of_next(void) {
    int ends[2];
    uintptr_t at = 0;
    if (pipe(ends) != 0) {
        return 0;
    }
    if (fork() == 0) {
        dup2(ends[1], 1);
        execl("/proc/self/exe", "vdso", "where", NULL);
        _exit(1);
    }
    close(ends[1]);
    if (read(ends[0], &at, sizeof at) != sizeof at) {
        at = 0;
    }
    close(ends[0]);
    wait(NULL);
    return at;
}

static int differences(void) {
    const uintptr_t first = place_of_next();
    int different = 0;
    for (int i = 0; i < 8; ++i) {
        different += place_of_next() != first;
    }
    return first == 0 ? -1 : different;
}

static void places(void) {
    printf("executed anew it lies elsewhere: %d\n", differences() > 0);
    personality(ADDR_NO_RANDOMIZE);
    printf("without chance it lies there: %d\n", differences() == 0);
    personality(0);
}

int main(int words, char** arguments) {
    (void)arguments;
    object = (const char*)getauxval(AT_SYSINFO_EHDR);
    if (words > 1) {
        return write(1, &object, sizeof object) != sizeof object;
    }
    say("AT_SYSINFO_EHDR", object == NULL || (uintptr_t)object % PAGE != 0 ? -1 : 0);
    const struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_NODEFER};
    sigaction(SIGSEGV, &action, NULL);
    shape();
    agreement();
    processors();
    order();
    const struct place code_at = place_of("[vdso]");
    const struct place data = place_of("[vvar]");
    const char before = *spare(&code_at);
    rights(&code_at, &data);
    in_child(kept, &code_at, &data);
    in_child(written, &code_at, &data);
    in_child(poked, &code_at, &data);
    in_child(unmapped, &code_at, &data);
    printf("nobody else's copy: %d\n", *spare(&code_at) == before);
    places();
    return 0;
}
