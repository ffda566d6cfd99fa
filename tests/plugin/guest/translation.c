// Broken and correct handling of page tables, one scenario a run: what the probe `tlb` must find, and where.
// SPDX-License-Identifier: MIT
#include <stddef.h>
#include <stdint.h>

#include "paravane/marker.h"
#include "second.h"

#define PRESENT 1ULL
#define WRITABLE 2ULL
#define USER 4ULL
#define LARGE (1ULL << 7)
#define GLOBAL (1ULL << 8)
#define NO_EXECUTE (1ULL << 63)
#define PLAIN (WRITABLE | NO_EXECUTE)
#define PAGE_SIZE 4096ULL
#define WINDOW 0x40000000ULL  // linear: where the scenarios map things
#define FRAME_A 0x1000000ULL  // physical: what they map there
#define FRAME_B (FRAME_A + PAGE_SIZE)
#define APICS 0xc0000000ULL

extern const char etext[];

static uint64_t root[512] __attribute__((aligned(4096)));
static uint64_t level_3[512] __attribute__((aligned(4096)));
static uint64_t low_2[512] __attribute__((aligned(4096)));
static uint64_t low_1[512] __attribute__((aligned(4096)));
static uint64_t window_2[512] __attribute__((aligned(4096)));
static uint64_t window_1[512] __attribute__((aligned(4096)));

static void leave(uint32_t status) {
    __asm__ volatile("outl %0, %1" : : "a"(status), "Nd"((uint16_t)0xf4));
    for (;;) {
        __asm__ volatile("cli\nhlt");
    }
}

// --- what a finding must point at, each an instruction of its own function
__attribute__((noinline)) static void store_entry(uint64_t* entry, uint64_t value) {
    *(volatile uint64_t*)entry = value;
}

__attribute__((noinline)) static uint64_t read_page(uint64_t address) {
    return *(volatile uint64_t*)address;
}

__attribute__((noinline)) static void write_page(uint64_t address) {
    *(volatile uint64_t*)address = 1;
}

__attribute__((noinline)) static void reload_cr3(void) {
    __asm__ volatile("mov %%cr3, %%rax\nmov %%rax, %%cr3" : : : "rax", "memory");
}

__attribute__((noinline)) static void end_shootdown(void) {
    PV_MARK(shootdown_end, 1, 0, 0, 0, 0, 0);
}

__attribute__((noinline)) static void release_frame(uint64_t frame) {
    PV_MARK(frames_release, frame, PAGE_SIZE, 0, 0, 0, 0);
}

static void invlpg(uint64_t address) {
    __asm__ volatile("invlpg (%0)" : : "r"(address) : "memory");
}

// Longer than the grace time counts instructions for.
static void wait_a_while(void) {
    for (volatile int i = 0; i < 10000; ++i) {
    }
}

// --- tables: code is executable, all else WRITABLE, nothing is both
static void use_tables(void) {
    __asm__ volatile(
        "mov $0xc0000080, %%ecx\nrdmsr\nor $0x800, %%eax\nwrmsr\n"  // EFER.NXE
        "mov %%cr0, %%rax\nor $0x10000, %%rax\nmov %%rax, %%cr0\n"  // WP
        "mov %%cr4, %%rax\nor $0x80, %%rax\nmov %%rax, %%cr4\n"     // PGE
        "mov %0, %%cr3"
        :
        : "r"((uint64_t)root)
        : "rax", "rcx", "rdx", "memory");
}

static void make_tables(void) {
    root[0] = (uint64_t)level_3 | PRESENT | WRITABLE | USER;
    level_3[0] = (uint64_t)low_2 | PRESENT | WRITABLE;
    level_3[1] = (uint64_t)window_2 | PRESENT | WRITABLE | USER;
    level_3[3] = (uint64_t)APICS | PRESENT | WRITABLE | LARGE | NO_EXECUTE;
    low_2[0] = (uint64_t)low_1 | PRESENT | WRITABLE;
    window_2[0] = (uint64_t)window_1 | PRESENT | WRITABLE | USER;
    for (uint64_t i = 1; i < 512; ++i) {
        low_2[i] = i << 21 | PRESENT | WRITABLE | LARGE | NO_EXECUTE;
    }
    for (uint64_t i = 0; i < 512; ++i) {
        const uint64_t address = i << 12;
        const int is_code = address >= 0x100000 && address < (uint64_t)etext;
        // The second processor starts in real mode at 0x8000, before it uses these tables.
        low_1[i] = address | PRESENT | (is_code ? 0 : WRITABLE | NO_EXECUTE);
    }
    *(volatile uint64_t*)FRAME_A = 0xa;
    *(volatile uint64_t*)FRAME_B = 0xb;
}

static uint64_t map(uint64_t frame, uint64_t more) {
    return frame | PRESENT | more;
}

static void hello(void) {
    PV_MARK(hello, PV_MARKER_VERSION, PV_FEATURE_TRANSLATION | PV_FEATURE_PROTECTION, 1000000, 0, 0, 0);
    PV_MARK(memory_protect, 0x100000, (uint64_t)etext - 0x100000, PV_PROTECT_CODE, 0, 0, 0);
}

// --- a second processor, which does what it is asked
enum request { none, touch, flush, flush_late, reload };

static volatile int request, answer, may_go_on;

void ap_main(void) {
    use_tables();
    for (int done = 0;;) {
        while (request == done) {
            __asm__ volatile("pause");
        }
        done = request;
        switch (done & 7) {
            case touch:
                read_page(WINDOW);
                break;
            case flush:
                invlpg(WINDOW);
                break;
            case flush_late:
                answer = done;
                while (!may_go_on) {
                    __asm__ volatile("pause");
                }
                invlpg(WINDOW);
                break;
            case reload:
                reload_cr3();
                break;
        }
        answer = done;
    }
}

static void ask(enum request what) {
    static int serial;
    const int number = ++serial * 8 + what;
    request = number;
    while (answer != number) {
        __asm__ volatile("pause");
    }
}

static void start_second(void) {
    start_processor();
    ask(touch);
}

// --- scenarios
static void missing_invlpg(int right) {
    store_entry(&window_1[0], map(FRAME_A, PLAIN));
    read_page(WINDOW);
    store_entry(&window_1[0], map(FRAME_B, PLAIN));
    if (right) {
        invlpg(WINDOW);
    }
    wait_a_while();
    if (read_page(WINDOW) != (right ? 0xb : 0xa)) {
        leave(2);
    }
}

static void early_invlpg(int right) {
    store_entry(&window_1[0], map(FRAME_A, PLAIN));
    read_page(WINDOW);
    if (!right) {
        // What ran ahead and filled the entry again is played by the second read.
        invlpg(WINDOW);
        read_page(WINDOW);
    }
    store_entry(&window_1[0], map(FRAME_B, PLAIN));
    if (right) {
        invlpg(WINDOW);
    }
    wait_a_while();
    read_page(WINDOW);
}

static void read_only(int right) {
    store_entry(&window_1[0], map(FRAME_A, PLAIN));
    write_page(WINDOW);
    store_entry(&window_1[0], map(FRAME_A, NO_EXECUTE));
    wait_a_while();
    if (right) {
        invlpg(WINDOW);
        store_entry(&window_1[0], map(FRAME_A, PLAIN));  // given again: nothing to forget
    }
    write_page(WINDOW);
}

static void begin_shootdown(void) {
    PV_MARK(shootdown_begin, 1, root, WINDOW, PAGE_SIZE, 0, 0);
}

static void unmap_shared(uint64_t more) {
    store_entry(&window_1[0], map(FRAME_A, PLAIN | more));
    start_second();
    read_page(WINDOW);
    store_entry(&window_1[0], 0);
}

static void all_but_one(int right) {
    unmap_shared(0);
    begin_shootdown();
    invlpg(WINDOW);
    if (right) {
        ask(flush);
    }
    end_shootdown();
}

static void early_answer(int right) {
    unmap_shared(0);
    begin_shootdown();
    invlpg(WINDOW);
    ask(right ? flush : flush_late);
    end_shootdown();
    may_go_on = 1;
}

static void global_page(int right) {
    unmap_shared(GLOBAL);
    begin_shootdown();
    invlpg(WINDOW);
    ask(right ? flush : reload);
    end_shootdown();
}

static void early_release(int right) {
    unmap_shared(0);
    begin_shootdown();
    invlpg(WINDOW);
    if (!right) {
        release_frame(FRAME_A);
    }
    ask(flush);
    end_shootdown();
    if (right) {
        release_frame(FRAME_A);
    }
}

static void table_release(int right) {
    unmap_shared(0);
    ask(flush);
    invlpg(WINDOW);
    store_entry(&window_2[0], 0);
    invlpg(WINDOW);
    if (right) {
        ask(flush);
    }
    PV_MARK(memory_unprotect, window_1, PAGE_SIZE, 0, 0, 0, 0);
}

static void code_alias(int right) {
    store_entry(&window_1[0], map(0x100000, NO_EXECUTE | (right ? 0 : WRITABLE)));
}

static void write_execute(int right) {
    store_entry(&window_1[0], map(FRAME_A, right ? PLAIN : WRITABLE));
}

static void user_table(int right) {
    store_entry(&window_1[0], map(right ? FRAME_A : (uint64_t)low_1, PLAIN | USER));
}

static void user_code(int right) {
    store_entry(&window_1[0], map(right ? FRAME_A : 0x100000, NO_EXECUTE | USER));
}

static void reserved(int right) {
    store_entry(&window_2[1], map(right ? 0x1200000 : 0x1202000, PLAIN | LARGE));
}

static void two_levels(int right) {
    store_entry(&window_2[1], map((uint64_t)(right ? window_1 : level_3), PLAIN));
}

static const struct {
    const char* name;
    void (*run)(int right);
} scenarios[] = {
    {"missing-invlpg", missing_invlpg},
    {"early-invlpg", early_invlpg},
    {"read-only", read_only},
    {"all-but-one", all_but_one},
    {"early-answer", early_answer},
    {"global-page", global_page},
    {"early-release", early_release},
    {"table-release", table_release},
    {"code-alias", code_alias},
    {"write-execute", write_execute},
    {"user-table", user_table},
    {"user-code", user_code},
    {"reserved", reserved},
    {"two-levels", two_levels},
};

// "NAME" is broken, "NAME right" is correct.
void main(const uint8_t* start_info) {
    const char* asked = *(const char* const*)(start_info + 24);
    make_tables();
    hello();
    use_tables();
    for (size_t i = 0; i < sizeof scenarios / sizeof scenarios[0]; ++i) {
        const char* name = scenarios[i].name;
        const char* rest = asked;
        while (*name != '\0' && *name == *rest) {
            ++name, ++rest;
        }
        if (*name == '\0' && (*rest == '\0' || *rest == ' ')) {
            scenarios[i].run(*rest == ' ');
            PV_MARK(goodbye, 0, 0, 0, 0, 0, 0);
            leave(0);
        }
    }
    leave(1);
}
