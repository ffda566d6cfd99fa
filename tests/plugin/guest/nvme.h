// As much of an NVMe driver as a broken one needs: one controller at 00:10.0, its queue of administration and
// one for data.
// SPDX-License-Identifier: MIT
// Sources: NVM Express Base Specification 2.0, 3.1 (registers), 3.3.3 (entries), 5.1 (Abort), 5.4 and 5.5
// (queues); PCI Local Bus Specification 3.0, 3.2.2.3.2 (configuration by ports).
#ifndef PV_TEST_NVME_H
#define PV_TEST_NVME_H
#include <stdint.h>

enum { nvme_admin = 0, nvme_data = 1, nvme_entries = 16 };

struct nvme_command {
    uint8_t opcode, flags;
    uint16_t id;
    uint32_t space;
    uint64_t reserved, metadata, prp1, prp2;
    uint32_t words[6];  // command dwords 10 to 15
};

struct nvme_completion {
    uint32_t result, reserved;
    uint16_t head, queue, id, status;
};

extern struct nvme_command* const nvme_submissions[2];

// Resets the controller, and makes its queues. 0: there is none, or it fails.
int nvme_start(void);
// Gives the command to the device and answers in which entry it lies. At most one less than `nvme_entries` at
// a time.
unsigned nvme_submit(int queue, struct nvme_command command);
// Waits for the next completion of the queue, and answers its status.
uint16_t nvme_wait(int queue);
#endif
