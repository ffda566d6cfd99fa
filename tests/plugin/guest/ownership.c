// Broken and correct handling of what a disk owns, one scenario a run: what the probe `ownership` must find,
// and where.
// SPDX-License-Identifier: MIT
#include <stddef.h>
#include <stdint.h>

#include "nvme.h"
#include "paravane/marker.h"

#define PAGE_SIZE 4096U
#define READ 2
#define WRITE 1
#define ABORT 8

// Three pages: the first is PRP 1, and the others stand in a list.
static uint64_t buffer[3 * PAGE_SIZE / 8] __attribute__((aligned(4096)));
static uint64_t list[2] __attribute__((aligned(4096)));

// The second processor is not started.
void ap_main(void) {}

static void leave(uint32_t status) {
    __asm__ volatile("outl %0, %1" : : "a"(status), "Nd"((uint16_t)0xf4));
    for (;;) {
        __asm__ volatile("cli\nhlt");
    }
}

// --- what a finding must point at, each an instruction of its own function
__attribute__((noinline)) static uint64_t read_buffer(void) {
    return *(volatile uint64_t*)&buffer[PAGE_SIZE / 8];
}

__attribute__((noinline)) static void write_buffer(void) {
    *(volatile uint64_t*)&buffer[PAGE_SIZE / 8] = 1;
}

__attribute__((noinline)) static void write_list(void) {
    *(volatile uint64_t*)&list[1] = list[0];
}

__attribute__((noinline)) static void write_descriptor(unsigned slot) {
    *(volatile uint64_t*)&nvme_submissions[nvme_data][slot].prp1 = (uint64_t)&buffer[2 * PAGE_SIZE / 8];
}

static unsigned submit(uint8_t opcode) {
    list[0] = (uint64_t)buffer + PAGE_SIZE;
    list[1] = (uint64_t)buffer + 2ULL * PAGE_SIZE;
    return nvme_submit(nvme_data, (struct nvme_command){.opcode = opcode,
                                                        .space = 1,
                                                        .prp1 = (uint64_t)buffer,
                                                        .prp2 = (uint64_t)list,
                                                        .words = {0, 0, sizeof buffer / 512 - 1}});
}

static void finish(void) {
    if (nvme_wait(nvme_data) != 0) {
        leave(2);
    }
}

// --- scenarios; `right` does the same when the device is done
static void early_read(int right) {
    submit(READ);
    if (right) {
        finish();
    }
    read_buffer();
    if (!right) {
        finish();
    }
}

static void early_write(int right) {
    submit(READ);
    if (right) {
        finish();
    }
    write_buffer();
    if (!right) {
        finish();
    }
}

// What a device reads may be read meanwhile, and not written.
static void unstable_data(int right) {
    submit(WRITE);
    read_buffer();
    if (right) {
        finish();
    }
    write_buffer();
    if (!right) {
        finish();
    }
}

// That an abort was answered does not say that the command has ended (5.1): its own completion does.
static void abort_reuse(int right) {
    const unsigned slot = submit(READ);
    nvme_submit(nvme_admin, (struct nvme_command){.opcode = ABORT, .words = {slot << 16 | nvme_data}});
    if (nvme_wait(nvme_admin) != 0) {
        leave(2);
    }
    // Good, or aborted: it has ended either way.
    if (right) {
        nvme_wait(nvme_data);
    }
    write_buffer();
    if (!right) {
        nvme_wait(nvme_data);
    }
}

static void late_descriptor(int right) {
    const unsigned slot = submit(READ);
    if (right) {
        finish();
    }
    write_descriptor(slot);
    if (!right) {
        finish();
    }
}

static void late_list(int right) {
    submit(READ);
    if (right) {
        finish();
    }
    write_list();
    if (!right) {
        finish();
    }
}

static const struct {
    const char* name;
    void (*run)(int right);
} scenarios[] = {
    {"early-read", early_read},   {"early-write", early_write},         {"unstable-data", unstable_data},
    {"abort-reuse", abort_reuse}, {"late-descriptor", late_descriptor}, {"late-list", late_list},
};

// "NAME" is broken, "NAME right" is correct; with " bare" behind it, the guest says nothing of itself.
void main(const uint8_t* start_info) {
    const char* asked = *(const char* const*)(start_info + 24);
    int is_bare = 0;
    for (const char* at = asked; *at != '\0'; ++at) {
        is_bare |= at[0] == ' ' && at[1] == 'b';
    }
    if (!is_bare) {
        PV_MARK(hello, PV_MARKER_VERSION, PV_FEATURE_OWNERSHIP, 1000000, 0, 0, 0);
    }
    if (!nvme_start()) {
        leave(3);
    }
    for (size_t i = 0; i < sizeof scenarios / sizeof scenarios[0]; ++i) {
        const char* name = scenarios[i].name;
        const char* rest = asked;
        while (*name != '\0' && *name == *rest) {
            ++name, ++rest;
        }
        if (*name == '\0' && (*rest == '\0' || *rest == ' ')) {
            scenarios[i].run(rest[0] == ' ' && rest[1] == 'r');
            leave(0);
        }
    }
    leave(1);
}
