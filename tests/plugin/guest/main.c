// The test guest: executes what the plugin watches, one scenario a run, named by the command line.
// SPDX-License-Identifier: MIT
#include <stddef.h>
#include <stdint.h>

#include "example.h"
#include "paravane/marker.h"
#include "second.h"

// What one scenario did wrong would show as a wrong line; 0 is what the runner expects. (n << 1) | 1 is
// QEMU's exit status by its isa-debug-exit device.
static void leave(uint32_t status) {
    __asm__ volatile("outl %0, %1" : : "a"(status), "Nd"((uint16_t)0xf4));
    for (;;) {  // QEMU ends a moment later
        __asm__ volatile("cli\nhlt");
    }
}

enum { virtio_device = 0x80, translated_device = 0x88, unknown_device = 0x90 };

static void hello(void) {
    PV_MARK(hello, PV_MARKER_VERSION, PV_FEATURE_DMA | PV_FEATURE_QUEUES, 1000000, 1, 0, 0);
}

static void markers(void) {
    hello();
    PV_MARK(dma_map, 0x80, 1, 0x1000, 0x1000, 0x200, PV_DMA_TO_DEVICE);
    PV_MARK(goodbye, 0, 0, 0, 0, 0, 0);
    PV_MARK(wait_begin, 0xffffffffffffffff, PV_WAIT_QUEUE, UINT64_MAX, 0x8000000000000000, 5, 6);
    PV_MARK_NUMBER(0x7abc, 1, 2, 3, 4, 5, 6);  // what a newer minor version may add
    // Neither the padding of compilers and assemblers nor a no-op with another constant is a marker.
    __asm__ volatile(
        ".byte 0x0f, 0x1f, 0x84, 0x00, 0, 0, 0, 0\n"
        ".byte 0x0f, 0x1f, 0x84, 0x00, 0x10, 0x00, 0x56, 0x51\n"
        ".byte 0x66, 0x0f, 0x1f, 0x84, 0x00, 0, 0, 0, 0\n"
        ".byte 0x0f, 0x1f, 0x84, 0x01, 0x10, 0x00, 0x56, 0x50\n"
        ".p2align 6\n");
    PV_MARK(device_release, 0x80, 0, 0, 0, 0, 0);
}

static void unknown_version(void) {
    PV_MARK(hello, (PV_MARKER_VERSION_MAJOR + 1) << 16, 0, 0, 1, 0, 0);
    PV_MARK(device_release, 0x80, 0, 0, 0, 0, 0);
    hello();
    PV_MARK(device_release, 0x80, 0, 0, 0, 0, 0);
}

static void newer_minor(void) {
    PV_MARK(hello, PV_MARKER_VERSION + 7, 0, 0, 1, 0, 0);
    PV_MARK(device_release, 0x80, 0, 0, 0, 0, 0);
}

static void no_hello(void) {
    PV_MARK(device_release, 0x80, 0, 0, 0, 0, 0);
    PV_MARK(device_release, 0x81, 0, 0, 0, 0, 0);
    hello();
    PV_MARK(device_release, 0x82, 0, 0, 0, 0, 0);
}

static uint64_t read_cr3(void) {
    uint64_t value;
    __asm__ volatile("mov %%cr3, %0" : "=r"(value));
    return value;
}

static struct {
    uint16_t length;
    uint64_t base;
} __attribute__((packed)) idt_pointer;

static struct gate {
    uint16_t low, selector, flags, middle;
    uint32_t high, zero;
} idt[16];

static volatile uint64_t faults;
void fault_handler(void);
// #GP: skip the three bytes of `mov %rax, %cr4` and count.
__asm__(
    ".globl fault_handler\n"
    "fault_handler: incq faults(%rip)\n"
    "add $8, %rsp\n"
    "addq $3, (%rsp)\n"
    "iretq");

static void control(void) {
    hello();
    const uint64_t table = read_cr3();
    __asm__ volatile("mov %0, %%cr3" : : "r"(table) : "memory");
    // A high register needs REX.B; CR4 gets PGE; CR0 gets MP, and QEMU sets ET whatever was written.
    __asm__ volatile("mov $0xa0, %%r13\nmov %%r13, %%cr4" : : : "r13", "memory");
    __asm__ volatile("mov $0x80000003, %%eax\nmov %%rax, %%cr0" : : : "rax", "memory");
    __asm__ volatile("invlpg 0x1234(%0,%1,4)" : : "r"((uint64_t)0x10000), "r"((uint64_t)0x1000) : "memory");
    __asm__ volatile("mov %0, %%r9\ninvlpg -8(%%r9)" : : "r"(0xffff800000001000) : "r9", "memory");
    __asm__ volatile("invlpg main(%%rip)" : : : "memory");
    __asm__ volatile("invlpg 0x7ff000" : : : "memory");
    // An attempt that faults writes nothing, and there must be no line saying it did.
    const uint64_t handler = (uint64_t)fault_handler;
    idt[13] =
        (struct gate){(uint16_t)handler, 8, 0x8e00, (uint16_t)(handler >> 16), (uint32_t)(handler >> 32), 0};
    idt_pointer.length = sizeof idt - 1;
    idt_pointer.base = (uint64_t)idt;
    __asm__ volatile("lidt %0" : : "m"(idt_pointer));
    // CR4.LA57 cannot change in 64-bit mode (SDM vol. 3A, 2.5).
    __asm__ volatile("mov $0x10a0, %%eax\nmov %%rax, %%cr4" : : : "rax", "memory");
    PV_MARK(wait_end, faults, 0, 0, 0, 0, 0);
}

// --- a second vCPU
// -------------------------------------------------------------------------------------------
static volatile int ap_done;

void ap_main(void) {
    PV_MARK(wait_end, 0x2222, 1, 0, 0, 0, 0);
    ap_done = 1;
}

static void smp(void) {
    hello();
    PV_MARK(wait_begin, 0x1111, 1, 0, 0, 0, 0);
    start_processor();
    while (!ap_done) {
        __asm__ volatile("pause");
    }
    PV_MARK(wait_end, 0x1111, 0, 0, 0, 0, 0);
}

// --- rings
// ---------------------------------------------------------------------------------------------------
struct descriptor {
    uint64_t address;
    uint32_t length;
    uint16_t flags, next;
};

struct header {
    uint32_t type, reserved;
    uint64_t sector;
};

enum { next = 1, writes = 2, indirect = 4, entries = 8 };

struct ring {
    struct descriptor table[entries];

    struct {
        uint16_t flags, index, ring[entries];
    } available;
    struct descriptor other[entries];
    struct header header;
};

static void offer(struct ring* r, uint64_t device, uint16_t head) {
    r->available.ring[r->available.index % entries] = head;
    r->available.index++;
    PV_MARK(doorbell, device, PV_QUEUE_VIRTIO_SPLIT, 0, r->available.index, 0, 0);
}

static void create(struct ring* r, uint64_t device, uint64_t kind) {
    uint8_t* bytes = (uint8_t*)r;
    for (size_t i = 0; i < sizeof *r; ++i) {
        ((volatile uint8_t*)bytes)[i] = 0;
    }
    PV_MARK(device, device, kind, 0xfe000000, 0x4000, 0, 0);
    PV_MARK(queue_areas, device, 0, &r->available, (uint64_t)r + 0x1000, 0, 0);
    PV_MARK(queue_create, device, PV_QUEUE_VIRTIO_SPLIT, 0, entries, r->table, 0);
}

static void read_request(struct ring* r) {
    r->header = (struct header){0, 0, 0x1234};
    r->table[2] = (struct descriptor){(uint64_t)&r->header, 16, next, 5};
    r->table[5] = (struct descriptor){0x200000, 4096, next | writes, 1};
    r->table[1] = (struct descriptor){0x201000, 1, writes, 0};
}

static void rings_at(struct ring* r) {
    hello();
    create(r, virtio_device, PV_DEVICE_VIRTIO_BLK);
    read_request(r);
    offer(r, virtio_device, 2);
    // The same through an indirect table, as a write.
    r->header.type = 1;
    r->other[0] = (struct descriptor){(uint64_t)&r->header, 16, next, 1};
    r->other[1] = (struct descriptor){0x300000, 512, next, 2};
    r->other[2] = (struct descriptor){0x201000, 1, writes, 0};
    r->table[3] = (struct descriptor){(uint64_t)r->other, 48, indirect, 0};
    offer(r, virtio_device, 3);
}

static struct ring low __attribute__((aligned(4096)));

static void rings(void) {
    rings_at(&low);
    // Two entries with one doorbell, the second of them a head beyond the table.
    low.available.ring[low.available.index++ % entries] = 2;
    offer(&low, virtio_device, entries);
    low.table[0] = (struct descriptor){0x1000, 8, next, 0};  // its own successor
    offer(&low, virtio_device, 0);
    low.table[0] = (struct descriptor){0x1000, 8, next, 77};
    offer(&low, virtio_device, 0);
    low.table[0] = (struct descriptor){0xffffffffffffff00, 16, indirect, 0};
    offer(&low, virtio_device, 0);
    low.table[0] = (struct descriptor){(uint64_t)low.other, 40, indirect, 0};
    offer(&low, virtio_device, 0);
    low.other[0].flags = indirect;
    low.table[0].length = 16;
    offer(&low, virtio_device, 0);
    low.table[0] = (struct descriptor){0x1000, 8, writes | next, 4};
    low.table[4] = (struct descriptor){0x2000, 8, 0, 0};
    offer(&low, virtio_device, 0);
    PV_MARK(doorbell, virtio_device, PV_QUEUE_VIRTIO_SPLIT, 0, low.available.index + 100, 0, 0);
    PV_MARK(queue_delete, virtio_device, PV_QUEUE_VIRTIO_SPLIT, 0, 0, 0, 0);
    PV_MARK(doorbell, virtio_device, PV_QUEUE_VIRTIO_SPLIT, 0, 1, 0, 0);

    create(&low, translated_device, PV_DEVICE_VIRTIO_BLK);
    PV_MARK(dma_map, translated_device, 9, 0xfffff000, &low, 4096, PV_DMA_BIDIRECTIONAL);
    offer(&low, translated_device, 0);
    offer(&low, translated_device, 0);

    PV_MARK(queue_create, unknown_device, PV_QUEUE_VIRTIO_SPLIT, 0, entries, low.table, 0);
    PV_MARK(queue_create, unknown_device, PV_QUEUE_VIRTIO_PACKED, 1, entries, low.table, 0);
    PV_MARK(queue_areas, unknown_device, 2, 0x1000, 0x2000, 0, 0);
    PV_MARK(queue_create, unknown_device, PV_QUEUE_VIRTIO_SPLIT, 2, 48, low.table, 0);
    PV_MARK(queue_areas, unknown_device, 3, 0xfffffffffffffff0, 0x2000, 0, 0);
    PV_MARK(queue_create, unknown_device, PV_QUEUE_VIRTIO_SPLIT, 3, entries, 0xfffffffffffffff0, 0);
    PV_MARK(doorbell, unknown_device, PV_QUEUE_VIRTIO_SPLIT, 3, 1, 0, 0);
}

// Memory beyond 4 GiB: what lies there in the guest must be what the plugin reads.
static void rings_high(void) {
    rings_at((struct ring*)0x100400000);
}

// For the benchmark: as many markers as it takes to measure one.
// 8 MiB that are read and written a hundred times, 8 bytes each: bound by memory, for bench.probes.
static void memory(void) {
    volatile uint64_t* const words = (volatile uint64_t*)0x1000000;
    for (unsigned round = 0; round < 100; ++round) {
        for (size_t i = 0; i < (8U << 20) / sizeof *words; ++i) {
            words[i] += round;
        }
    }
}

static void many(void) {
    hello();
    for (uint64_t i = 0; i < 200000; ++i) {
        PV_MARK(dma_map, 0x80, i, 0x1000, 0x1000, 0x200, PV_DMA_TO_DEVICE);
    }
}

static const struct {
    const char* name;
    void (*run)(void);
} scenarios[] = {
    {"markers", markers},
    {"unknown-version", unknown_version},
    {"newer-minor", newer_minor},
    {"no-hello", no_hello},
    {"control", control},
    {"smp", smp},
    {"rings", rings},
    {"rings-high", rings_high},
    {"many", many},
    {"memory", memory},
    {"example", example},
};

static int same(const char* a, const char* b) {
    while (*a != '\0' && *a == *b) {
        ++a, ++b;
    }
    return *a == *b;
}

// PVH: struct hvm_start_info holds the command line's physical address at offset 24.
void main(const uint8_t* start_info) {
    const char* name = *(const char* const*)(start_info + 24);
    for (size_t i = 0; i < sizeof scenarios / sizeof scenarios[0]; ++i) {
        if (same(scenarios[i].name, name)) {
            scenarios[i].run();
            leave(0);
        }
    }
    leave(1);
}
