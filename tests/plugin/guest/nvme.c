// The driver (nvme.h). It polls, and trusts the device.
// SPDX-License-Identifier: MIT
#include "nvme.h"

#define DEVICE (0x80000000U | 0x10 << 11)  // bus 0, device 16, function 0
#define RING __attribute__((aligned(4096)))

static struct nvme_command admin_submissions[nvme_entries] RING, data_submissions[nvme_entries] RING;
struct nvme_command* const nvme_submissions[2] = {admin_submissions, data_submissions};
static volatile struct nvme_completion admin_completions[nvme_entries] RING,
    data_completions[nvme_entries] RING;
static volatile struct nvme_completion* const completions[2] = {admin_completions, data_completions};
static unsigned tails[2], heads[2];
static uint64_t registers;

static uint32_t config_read(unsigned offset) {
    uint32_t value;
    __asm__ volatile("outl %0, %1" : : "a"(DEVICE | offset), "Nd"((uint16_t)0xcf8));
    __asm__ volatile("inl %1, %0" : "=a"(value) : "Nd"((uint16_t)0xcfc));
    return value;
}

static void config_write(unsigned offset, uint32_t value) {
    __asm__ volatile("outl %0, %1" : : "a"(DEVICE | offset), "Nd"((uint16_t)0xcf8));
    __asm__ volatile("outl %0, %1" : : "a"(value), "Nd"((uint16_t)0xcfc));
}

static volatile uint32_t* at(unsigned offset) {
    return (volatile uint32_t*)(registers + offset);
}

static void set_wide(unsigned offset, const volatile void* address) {
    *at(offset) = (uint32_t)(uint64_t)address;
    *at(offset + 4) = (uint32_t)((uint64_t)address >> 32);
}

static void wait_ready(uint32_t ready) {
    while ((*at(0x1c) & 1) != ready) {  // CSTS.RDY
    }
}

__attribute__((noinline)) static void ring(int queue, unsigned which, unsigned value) {
    *at(0x1000 + ((unsigned)queue * 2 + which) * 4) = value;  // QEMU's stride (CAP.DSTRD) is 0
}

unsigned nvme_submit(int queue, struct nvme_command command) {
    const unsigned slot = tails[queue];
    command.id = (uint16_t)slot;
    nvme_submissions[queue][slot] = command;
    tails[queue] = (slot + 1) % nvme_entries;
    __asm__ volatile("" : : : "memory");
    ring(queue, 0, tails[queue]);
    return slot;
}

uint16_t nvme_wait(int queue) {
    const unsigned at_head = heads[queue] % nvme_entries;
    const unsigned phase = heads[queue] / nvme_entries % 2 == 0;
    while ((completions[queue][at_head].status & 1U) != phase) {
    }
    const uint16_t status = completions[queue][at_head].status >> 1;
    ++heads[queue];
    ring(queue, 1, heads[queue] % nvme_entries);
    return status;
}

int nvme_start(void) {
    if ((config_read(8) >> 8) != 0x010802) {  // class: NVM Express
        return 0;
    }
    registers = (config_read(0x10) & ~15U) | (uint64_t)config_read(0x14) << 32;
    config_write(4, config_read(4) | 6);  // memory, bus master
    *at(0x14) = 0;                        // CC
    wait_ready(0);
    *at(0x24) = (nvme_entries - 1) << 16 | (nvme_entries - 1);  // AQA
    set_wide(0x28, nvme_submissions[nvme_admin]);
    set_wide(0x30, completions[nvme_admin]);
    *at(0x14) = 4U << 20 | 6U << 16 | 1;  // entries of 16 and of 64 bytes, enabled
    wait_ready(1);
    const uint32_t size_and_id = (nvme_entries - 1U) << 16 | nvme_data;
    nvme_submit(nvme_admin,
                (struct nvme_command){
                    .opcode = 5, .prp1 = (uint64_t)completions[nvme_data], .words = {size_and_id, 1}});
    if (nvme_wait(nvme_admin) != 0) {
        return 0;
    }
    nvme_submit(nvme_admin, (struct nvme_command){.opcode = 1,
                                                  .prp1 = (uint64_t)nvme_submissions[nvme_data],
                                                  .words = {size_and_id, nvme_data << 16 | 1}});
    return nvme_wait(nvme_admin) == 0;
}
