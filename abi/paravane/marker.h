/* Markers: how a guest tells whoever watches it what it means. No-ops on every x86-64 processor.
 * SPDX-License-Identifier: 0BSD
 *
 * ENCODING. A marker is the eight-byte no-op `nopl disp32(%rax,%rax,1)`, bytes 0F 1F 84 00 followed by a
 * little-endian 32-bit constant (Intel SDM vol. 2B, "NOP"). The constant is PV_MARKER_MAGIC in its upper 16
 * bits and the marker's number in its lower 16. No memory is accessed: the address is never formed. Up to six
 * arguments stand in rdi, rsi, rdx, rcx, r8, r9 (in that order); arguments a marker does not list are not
 * read.
 *
 * HANDSHAKE. The first marker a guest executes is `hello`. It carries PV_MARKER_VERSION: major in
 * bits 31..16, minor in bits 15..0. A watcher that does not know the major version must ignore every further
 * marker and say so. A minor version only adds numbers, and arguments that zero says nothing with. Numbers
 * are never reused.
 *
 * PLACE. A marker states a fact that holds from this instruction on, in the order of the CPU that executes
 * it. "Begin" and "submit" markers come before the store that makes the fact visible to a device (the
 * doorbell); "complete", "unmap" and "end" markers come after the last access. The macros are `volatile` with
 * a memory clobber, so a compiler keeps them in place among memory accesses.
 *
 * DEVICES are named by their PCI address as one number: segment << 16 | bus << 8 | device << 3 | function.
 * TIMES are nanoseconds. ADDRESSES: "bus" is what the device uses, "physical" is a guest frame's.
 *
 * Usable from C11 and C++11 on, kernel or user mode, with GCC and clang. */
#ifndef PARAVANE_MARKER_H
#define PARAVANE_MARKER_H

#include <stdint.h>

#define PV_MARKER_MAGIC 0x5056u
#define PV_MARKER_VERSION_MAJOR 1u
#define PV_MARKER_VERSION_MINOR 4u
#define PV_MARKER_VERSION ((PV_MARKER_VERSION_MAJOR << 16) | PV_MARKER_VERSION_MINOR)

/* Features: what a guest promises to mark without exception. A rule that needs a promise the guest did not
 * make is `not observed`. Bits of hello's `features`. */
enum pv_marker_feature {
    PV_FEATURE_DMA = 1 << 0,         /* every dma_map and dma_unmap */
    PV_FEATURE_COMMANDS = 1 << 1,    /* every command_* */
    PV_FEATURE_QUEUES = 1 << 2,      /* every queue_* and doorbell */
    PV_FEATURE_WAITS = 1 << 3,       /* every wait_begin and wait_end */
    PV_FEATURE_DURABILITY = 1 << 4,  /* every durable_begin and durable_end */
    PV_FEATURE_PROTECTION = 1 << 5,  /* every memory_protect and memory_unprotect: code, tables at least */
    PV_FEATURE_TRANSLATION = 1 << 6, /* every shootdown_begin and _end, and frames_release where it is due */
    PV_FEATURE_OWNERSHIP = 1 << 7,   /* no marker: what a device was given is left alone until it is done */
};

enum pv_dma_direction {
    PV_DMA_TO_DEVICE = 1,   /* the device reads memory */
    PV_DMA_FROM_DEVICE = 2, /* the device writes memory */
    PV_DMA_BIDIRECTIONAL = 3,
};

/* dma_map's `physical` where whoever gives the marker does not know it. */
#define PV_PHYSICAL_UNKNOWN UINT64_MAX

/* Why no device may write some memory. */
enum pv_protection {
    PV_PROTECT_CODE = 1,    /* the kernel's code and constants */
    PV_PROTECT_TABLE = 2,   /* a table that translates addresses, of a processor or an IOMMU */
    PV_PROTECT_PRIVATE = 3, /* pages of one owner alone: a process's, secrets */
};

enum pv_device_kind {
    PV_DEVICE_OTHER = 0,
    PV_DEVICE_NVME = 1,
    PV_DEVICE_VIRTIO_BLK = 2,
    PV_DEVICE_VIRTIO_NET = 3,
    PV_DEVICE_VIRTIO_RNG = 4,
    PV_DEVICE_VIRTIO_CONSOLE = 5,
};

enum pv_queue_kind {
    PV_QUEUE_NVME_SUBMISSION = 1,
    PV_QUEUE_NVME_COMPLETION = 2,
    PV_QUEUE_VIRTIO_SPLIT = 3,
    PV_QUEUE_VIRTIO_PACKED = 4,
};

/* What a command does, whatever the device calls it. */
enum pv_operation {
    PV_OPERATION_OTHER = 0,
    PV_OPERATION_READ = 1,
    PV_OPERATION_WRITE = 2,
    PV_OPERATION_FLUSH = 3,
    PV_OPERATION_DISCARD = 4,
    PV_OPERATION_WRITE_ZEROES = 5,
    PV_OPERATION_ADMIN = 6,
    PV_OPERATION_SEND = 7, /* a frame to a network */
};

enum pv_wait_kind {
    PV_WAIT_REGISTER = 1, /* polls a device register; object = its physical address */
    PV_WAIT_QUEUE = 2,    /* a thread sleeps on a wait queue; object = the queue's virtual address */
    PV_WAIT_MEMORY = 3,   /* polls a word of memory that a device writes; object = its physical address */
    PV_WAIT_IDLE = 4,     /* a thread sleeps until there is work, without a deadline; object as QUEUE's */
};

enum pv_wait_result {
    PV_WAIT_SATISFIED = 0,
    PV_WAIT_TIMED_OUT = 1,
};

/* What became of the request to abort a command. */
enum pv_abort_result {
    PV_ABORT_ABORTED = 0,   /* the device says that it aborted it; its completion is due now */
    PV_ABORT_GOES_ON = 1,   /* the device goes on with it (NVMe: bit 0 of the answer's dword 0) */
    PV_ABORT_REFUSED = 2,   /* the device failed the request itself */
    PV_ABORT_NO_ANSWER = 3, /* its deadline passed */
};

/* Steps of a recovery, each with a deadline of its own. */
enum pv_recovery_step {
    PV_RECOVERY_ABORT = 1, /* ask for the abort of one command */
    PV_RECOVERY_WAIT = 2,  /* the device goes on with commands: they get until the deadline */
    PV_RECOVERY_QUEUE = 3, /* delete a queue and make it again */
    PV_RECOVERY_RESET = 4, /* reset the device and make all queues again */
    PV_RECOVERY_DEAD = 5,  /* give the device up */
};

/* Why a driver began a recovery, or gave a device up. */
enum pv_recovery_reason {
    PV_REASON_OVERDUE = 1,  /* a command's deadline passed */
    PV_REASON_FATAL = 2,    /* the device says that it failed (NVMe: CSTS.CFS) */
    PV_REASON_GONE = 3,     /* it was removed, or leaves its slot */
    PV_REASON_PROTOCOL = 4, /* the device said what cannot be */
    PV_REASON_USELESS = 5,  /* the steps before did not help */
};

/* clang-format off */
/* PV_MARKERS(M): M(number, name, six argument names; `_` where there is none).
 *
 * hello           version; features (pv_marker_feature); slack = nanoseconds after a deadline within which the
 *                 guest promises to have acted; cpus = processors it will use, 0 = all the machine has; slide = how
 *                 far the kernel runs from where it was linked (added to its symbols), 0 = there, or not told
 * goodbye         status: 0 when the guest's work succeeded; the machine powers off next
 * device          a driver takes a device: kind (pv_device_kind); BAR address of the registers it drives, and
 *                 their length in bytes
 * device_release  the driver has let go: the device is quiet (reset, or bus mastering off)
 * device_reset    the driver starts a reset of the device; reason: 0 set-up, 1 recovery, 2 shutdown
 * device_dead     the driver gave the device up (reason: pv_recovery_reason): bus mastering is off, every caller has
 *                 its error, nothing is submitted any more. Memory the device may still use stays in quarantine
 * dma_map         mapping: an id unique for the guest's life, or 0; the device may use [bus, bus+length) in
 *                 `direction` (pv_dma_direction); physical: first frame's address (mappings are contiguous)
 * dma_unmap       the same mapping ends: the device must not touch it from here on. With 0 for `mapping`: the
 *                 oldest one of the device that has no id, and this bus address and length
 * dma_quarantine  the owner gave up on the memory, which stays mapped and is not reused
 * dma_fault       the IOMMU refused the device's access to bus address `iova`, and told the guest; reason = the
 *                 unit's number for it; write: 1 or 0, 2 where the unit does not say
 * memory_protect  from here on no device may write [physical, physical+length); kind (pv_protection). Stands
 *                 before the memory holds what is protected
 * memory_unprotect the same bytes serve something else from here on
 * queue_create    kind (pv_queue_kind), queue = the device's number for it, entries, bus address of the ring
 *                 (a virtqueue's descriptor table). For a virtqueue, queue_areas comes first.
 * queue_areas     bus addresses of a virtqueue's driver (available) and device (used) areas
 * queue_delete    the device no longer uses the queue's memory
 * doorbell        value is about to be written to the queue's doorbell (virtio: the available index)
 * queue_suspend   a recovery holds the queue: nothing is submitted to it
 * queue_resume    commands are submitted again
 * command_submit  queue, command = the id the device sees in bits 15..0 and the driver's generation above;
 *                 operation (pv_operation); deadline = nanoseconds from now, 0 = none (breaks cmd-deadline);
 *                 request = the caller's id, as in durable_*, or 0
 * command_complete status: 0 success, else the device's status
 * command_timeout the deadline passed; overdue = nanoseconds since
 * command_failed  the driver gave the caller an error without a completion; status = why
 * command_refused a completion arrived that matches no outstanding command
 * command_abort   the driver asks the device to abort an outstanding command, which may end all the same
 * command_abort_end the device's answer: result (pv_abort_result). The command itself is still outstanding
 * command_repeat  `command`, submitted right before, carries out a request again whose earlier command a recovery
 *                 ended; attempt = 1 for the first repeat
 * durable_begin   a caller asked that all acknowledged writes to the device be durable; request = its id
 * durable_end     the caller is told; status 0 = they are
 * wait_begin      wait = id; kind (pv_wait_kind); deadline = nanoseconds from now, UINT64_MAX = never; object
 * wait_end        result (pv_wait_result)
 * recovery_begin  recovery: an id unique for the guest's life; reason (pv_recovery_reason). One at a time a device
 * recovery_step   step (pv_recovery_step); deadline = nanoseconds from now; queue, where it is about one queue
 * recovery_end    result: 0 the device serves again, 1 it was given up (device_dead came before)
 * shootdown_begin what the tables under `root` (physical; 0: all tables) gave for [address, address+length) was
 *                 changed before, and all processors shall forget it; shootdown: an id unique among those under way
 * shootdown_end   status 0: no processor uses, from here on, what the tables no longer gave at its beginning
 * frames_release  the owner of [physical, physical+length) gives the frames back, which translations led to: from
 *                 here on they may hold something else
 */
/* clang-format on */
#define PV_MARKERS(M)                                                               \
    M(0x0001, hello, version, features, slack, cpus, slide, _)                      \
    M(0x0002, goodbye, status, _, _, _, _, _)                                       \
    M(0x0008, device, device, kind, registers, length, _, _)                        \
    M(0x0009, device_release, device, _, _, _, _, _)                                \
    M(0x000a, device_reset, device, reason, _, _, _, _)                             \
    M(0x000b, device_dead, device, reason, _, _, _, _)                              \
    M(0x0010, dma_map, device, mapping, bus, physical, length, direction)           \
    M(0x0011, dma_unmap, device, mapping, bus, length, _, _)                        \
    M(0x0012, dma_quarantine, device, mapping, bus, length, _, _)                   \
    M(0x0013, dma_fault, device, reason, iova, write, _, _)                         \
    M(0x0014, memory_protect, physical, length, kind, _, _, _)                      \
    M(0x0015, memory_unprotect, physical, length, _, _, _, _)                       \
    M(0x0020, queue_create, device, kind, queue, entries, ring, _)                  \
    M(0x0021, queue_areas, device, queue, driver_area, device_area, _, _)           \
    M(0x0022, queue_delete, device, kind, queue, _, _, _)                           \
    M(0x0023, doorbell, device, kind, queue, value, _, _)                           \
    M(0x0024, queue_suspend, device, queue, _, _, _, _)                             \
    M(0x0025, queue_resume, device, queue, _, _, _, _)                              \
    M(0x0030, command_submit, device, queue, command, operation, deadline, request) \
    M(0x0031, command_complete, device, queue, command, status, _, _)               \
    M(0x0032, command_timeout, device, queue, command, overdue, _, _)               \
    M(0x0033, command_failed, device, queue, command, status, _, _)                 \
    M(0x0034, command_refused, device, queue, command, _, _, _)                     \
    M(0x0035, command_abort, device, queue, command, _, _, _)                       \
    M(0x0036, command_abort_end, device, queue, command, result, _, _)              \
    M(0x0037, command_repeat, device, queue, command, attempt, _, _)                \
    M(0x0040, durable_begin, device, request, _, _, _, _)                           \
    M(0x0041, durable_end, device, request, status, _, _, _)                        \
    M(0x0050, wait_begin, wait, kind, deadline, object, _, _)                       \
    M(0x0051, wait_end, wait, result, _, _, _, _)                                   \
    M(0x0060, recovery_begin, device, recovery, reason, _, _, _)                    \
    M(0x0061, recovery_step, device, recovery, step, deadline, queue, _)            \
    M(0x0062, recovery_end, device, recovery, result, _, _, _)                      \
    M(0x0070, shootdown_begin, shootdown, root, address, length, _, _)              \
    M(0x0071, shootdown_end, shootdown, status, _, _, _, _)                         \
    M(0x0072, frames_release, physical, length, _, _, _, _)

#define PV_MARKER_ENUMERATOR(number, name, a0, a1, a2, a3, a4, a5) PV_MARKER_##name = (number),

enum pv_marker_number { PV_MARKERS(PV_MARKER_ENUMERATOR) };

#undef PV_MARKER_ENUMERATOR

#if defined(__x86_64__)
#ifdef __cplusplus
#define PV_MARK_U64(value) static_cast<uint64_t>(value)
#else
#define PV_MARK_U64(value) ((uint64_t)(value))
#endif

/* PV_MARK(name, a0, ... a5): emits marker NAME. Integers only. All six registers are loaded, unused ones with
 * zero, so that watcher and guest need not agree on the number of arguments. Each argument is evaluated once,
 * before any register is loaded (a call in an argument would clobber r8 and r9). */
#define PV_MARK(name, a0, a1, a2, a3, a4, a5) PV_MARK_NUMBER(PV_MARKER_##name, a0, a1, a2, a3, a4, a5)
#define PV_MARK_NUMBER(number, a0, a1, a2, a3, a4, a5)                                                      \
    do {                                                                                                    \
        const uint64_t pv_mark_0 = PV_MARK_U64(a0), pv_mark_1 = PV_MARK_U64(a1);                            \
        const uint64_t pv_mark_2 = PV_MARK_U64(a2), pv_mark_3 = PV_MARK_U64(a3);                            \
        const uint64_t pv_mark_4 = PV_MARK_U64(a4), pv_mark_5 = PV_MARK_U64(a5);                            \
        register uint64_t pv_mark_r8 __asm__("r8") = pv_mark_4;                                             \
        register uint64_t pv_mark_r9 __asm__("r9") = pv_mark_5;                                             \
        __asm__ volatile("nopl %c[pv_constant](%%rax,%%rax,1)"                                              \
                         :                                                                                  \
                         : [pv_constant] "i"((PV_MARKER_MAGIC << 16) | (number)), "D"(pv_mark_0),           \
                           "S"(pv_mark_1), "d"(pv_mark_2), "c"(pv_mark_3), "r"(pv_mark_r8), "r"(pv_mark_r9) \
                         : "memory");                                                                       \
    } while (0)
#endif

#endif
