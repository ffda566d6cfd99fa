// Markers as typed calls over abi/paravane/marker.h. What each means, and where it must stand, is written
// there.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>

#include "base/address.hpp"
#include "base/time.hpp"
#include "paravane/marker.h"

namespace pv::marker {

#if PV_HOSTED
/// Hosted builds hand every marker to hosted/markers.hpp, where a test reads them back.
void record(std::uint32_t number, std::uint64_t a0, std::uint64_t a1, std::uint64_t a2, std::uint64_t a3,
            std::uint64_t a4, std::uint64_t a5);
#define PV_EMIT(name, a0, a1, a2, a3, a4, a5) ::pv::marker::record(PV_MARKER_##name, a0, a1, a2, a3, a4, a5)
#else
#define PV_EMIT(name, a0, a1, a2, a3, a4, a5) PV_MARK(name, a0, a1, a2, a3, a4, a5)
#endif

/// PCI address as markers name it: segment << 16 | bus << 8 | device << 3 | function.
enum class Device : std::uint32_t {};

enum class Protection : std::uint8_t {
    code = PV_PROTECT_CODE,
    table = PV_PROTECT_TABLE,
    private_pages = PV_PROTECT_PRIVATE,
};

enum class DeviceKind : std::uint8_t {
    other = PV_DEVICE_OTHER,
    nvme = PV_DEVICE_NVME,
    virtio_blk = PV_DEVICE_VIRTIO_BLK,
    virtio_net = PV_DEVICE_VIRTIO_NET,
    virtio_rng = PV_DEVICE_VIRTIO_RNG,
    virtio_console = PV_DEVICE_VIRTIO_CONSOLE,
};

enum class Direction : std::uint8_t {
    to_device = PV_DMA_TO_DEVICE,
    from_device = PV_DMA_FROM_DEVICE,
    bidirectional = PV_DMA_BIDIRECTIONAL,
};

enum class QueueKind : std::uint8_t {
    nvme_submission = PV_QUEUE_NVME_SUBMISSION,
    nvme_completion = PV_QUEUE_NVME_COMPLETION,
    virtio_split = PV_QUEUE_VIRTIO_SPLIT,
    virtio_packed = PV_QUEUE_VIRTIO_PACKED,
};

enum class Operation : std::uint8_t {
    other = PV_OPERATION_OTHER,
    read = PV_OPERATION_READ,
    write = PV_OPERATION_WRITE,
    flush = PV_OPERATION_FLUSH,
    discard = PV_OPERATION_DISCARD,
    write_zeroes = PV_OPERATION_WRITE_ZEROES,
    admin = PV_OPERATION_ADMIN,
    send = PV_OPERATION_SEND,
};

enum class ResetReason : std::uint8_t { set_up = 0, recovery = 1, shutdown = 2 };

enum class WaitKind : std::uint8_t {
    device_register = PV_WAIT_REGISTER,
    queue = PV_WAIT_QUEUE,
    memory = PV_WAIT_MEMORY,
    idle = PV_WAIT_IDLE,
};

enum class WaitResult : std::uint8_t { satisfied = PV_WAIT_SATISFIED, timed_out = PV_WAIT_TIMED_OUT };

enum class AbortResult : std::uint8_t {
    aborted = PV_ABORT_ABORTED,
    goes_on = PV_ABORT_GOES_ON,
    refused = PV_ABORT_REFUSED,
    no_answer = PV_ABORT_NO_ANSWER,
};

enum class RecoveryStep : std::uint8_t {
    abort = PV_RECOVERY_ABORT,
    wait = PV_RECOVERY_WAIT,
    queue = PV_RECOVERY_QUEUE,
    reset = PV_RECOVERY_RESET,
    dead = PV_RECOVERY_DEAD,
};

enum class Reason : std::uint8_t {
    overdue = PV_REASON_OVERDUE,
    fatal = PV_REASON_FATAL,
    gone = PV_REASON_GONE,
    protocol = PV_REASON_PROTOCOL,
    useless = PV_REASON_USELESS,
};

namespace detail {

template <class T>
constexpr std::uint64_t number(T value) {
    return static_cast<std::uint64_t>(value);
}

}  // namespace detail

inline void hello(std::uint64_t features, Duration slack, std::uint64_t cpus, std::uint64_t slide) {
    PV_EMIT(hello, PV_MARKER_VERSION, features, slack.to_nanoseconds(), cpus, slide, 0);
}

inline void goodbye(std::uint64_t status) {
    PV_EMIT(goodbye, status, 0, 0, 0, 0, 0);
}

inline void device(Device device, DeviceKind kind, PhysicalAddress registers, std::uint64_t length) {
    PV_EMIT(device, detail::number(device), detail::number(kind), registers.value(), length, 0, 0);
}

inline void device_release(Device device) {
    PV_EMIT(device_release, detail::number(device), 0, 0, 0, 0, 0);
}

inline void device_reset(Device device, ResetReason reason) {
    PV_EMIT(device_reset, detail::number(device), detail::number(reason), 0, 0, 0, 0);
}

inline void device_dead(Device device, Reason reason) {
    PV_EMIT(device_dead, detail::number(device), detail::number(reason), 0, 0, 0, 0);
}

inline void dma_map(Device device, std::uint64_t mapping, BusAddress bus, PhysicalAddress physical,
                    std::uint64_t length, Direction direction) {
    PV_EMIT(dma_map, detail::number(device), mapping, bus.value(), physical.value(), length,
            detail::number(direction));
}

inline void dma_unmap(Device device, std::uint64_t mapping, BusAddress bus, std::uint64_t length) {
    PV_EMIT(dma_unmap, detail::number(device), mapping, bus.value(), length, 0, 0);
}

inline void dma_quarantine(Device device, std::uint64_t mapping, BusAddress bus, std::uint64_t length) {
    PV_EMIT(dma_quarantine, detail::number(device), mapping, bus.value(), length, 0, 0);
}

inline void dma_fault(Device device, std::uint64_t reason, std::uint64_t iova, std::uint64_t write) {
    PV_EMIT(dma_fault, detail::number(device), reason, iova, write, 0, 0);
}

inline void memory_protect(PhysicalAddress physical, std::uint64_t length, Protection kind) {
    PV_EMIT(memory_protect, physical.value(), length, detail::number(kind), 0, 0, 0);
}

inline void memory_unprotect(PhysicalAddress physical, std::uint64_t length) {
    PV_EMIT(memory_unprotect, physical.value(), length, 0, 0, 0, 0);
}

inline void queue_create(Device device, QueueKind kind, std::uint64_t queue, std::uint64_t entries,
                         BusAddress ring) {
    PV_EMIT(queue_create, detail::number(device), detail::number(kind), queue, entries, ring.value(), 0);
}

inline void queue_areas(Device device, std::uint64_t queue, BusAddress driver_area, BusAddress device_area) {
    PV_EMIT(queue_areas, detail::number(device), queue, driver_area.value(), device_area.value(), 0, 0);
}

inline void queue_delete(Device device, QueueKind kind, std::uint64_t queue) {
    PV_EMIT(queue_delete, detail::number(device), detail::number(kind), queue, 0, 0, 0);
}

inline void doorbell(Device device, QueueKind kind, std::uint64_t queue, std::uint64_t value) {
    PV_EMIT(doorbell, detail::number(device), detail::number(kind), queue, value, 0, 0);
}

inline void queue_suspend(Device device, std::uint64_t queue) {
    PV_EMIT(queue_suspend, detail::number(device), queue, 0, 0, 0, 0);
}

inline void queue_resume(Device device, std::uint64_t queue) {
    PV_EMIT(queue_resume, detail::number(device), queue, 0, 0, 0, 0);
}

/// `deadline`: time left from now; zero says "none" and breaks cmd-deadline.
inline void command_submit(Device device, std::uint64_t queue, std::uint64_t command, Operation operation,
                           Duration deadline, std::uint64_t request) {
    PV_EMIT(command_submit, detail::number(device), queue, command, detail::number(operation),
            deadline.to_nanoseconds(), request);
}

inline void command_complete(Device device, std::uint64_t queue, std::uint64_t command,
                             std::uint64_t status) {
    PV_EMIT(command_complete, detail::number(device), queue, command, status, 0, 0);
}

inline void command_timeout(Device device, std::uint64_t queue, std::uint64_t command, Duration overdue) {
    PV_EMIT(command_timeout, detail::number(device), queue, command, overdue.to_nanoseconds(), 0, 0);
}

inline void command_failed(Device device, std::uint64_t queue, std::uint64_t command, std::uint64_t status) {
    PV_EMIT(command_failed, detail::number(device), queue, command, status, 0, 0);
}

inline void command_refused(Device device, std::uint64_t queue, std::uint64_t command) {
    PV_EMIT(command_refused, detail::number(device), queue, command, 0, 0, 0);
}

inline void command_abort(Device device, std::uint64_t queue, std::uint64_t command) {
    PV_EMIT(command_abort, detail::number(device), queue, command, 0, 0, 0);
}

inline void command_abort_end(Device device, std::uint64_t queue, std::uint64_t command, AbortResult result) {
    PV_EMIT(command_abort_end, detail::number(device), queue, command, detail::number(result), 0, 0);
}

inline void command_repeat(Device device, std::uint64_t queue, std::uint64_t command, std::uint64_t attempt) {
    PV_EMIT(command_repeat, detail::number(device), queue, command, attempt, 0, 0);
}

inline void durable_begin(Device device, std::uint64_t request) {
    PV_EMIT(durable_begin, detail::number(device), request, 0, 0, 0, 0);
}

inline void durable_end(Device device, std::uint64_t request, std::uint64_t status) {
    PV_EMIT(durable_end, detail::number(device), request, status, 0, 0, 0);
}

/// A number no other wait of this boot has.
std::uint64_t next_wait();

/// `deadline`: time left from now, Duration::max() for never. `object`: physical address of the polled
/// register or word, or virtual address of the wait queue.
inline void wait_begin(std::uint64_t wait, WaitKind kind, Duration deadline, std::uint64_t object) {
    PV_EMIT(wait_begin, wait, detail::number(kind), deadline.to_nanoseconds(), object, 0, 0);
}

inline void wait_end(std::uint64_t wait, WaitResult result) {
    PV_EMIT(wait_end, wait, detail::number(result), 0, 0, 0, 0);
}

/// A number no other recovery of this boot has.
std::uint64_t next_recovery();

inline void recovery_begin(Device device, std::uint64_t recovery, Reason reason) {
    PV_EMIT(recovery_begin, detail::number(device), recovery, detail::number(reason), 0, 0, 0);
}

/// `deadline`: time the step may take from now; `queue`: 0 where it is not about one.
inline void recovery_step(Device device, std::uint64_t recovery, RecoveryStep step, Duration deadline,
                          std::uint64_t queue) {
    PV_EMIT(recovery_step, detail::number(device), recovery, detail::number(step), deadline.to_nanoseconds(),
            queue, 0);
}

inline void recovery_end(Device device, std::uint64_t recovery, bool serves) {
    PV_EMIT(recovery_end, detail::number(device), recovery, serves ? 0 : 1, 0, 0, 0);
}

/// `shootdown`: unique among those under way; `root`: of the tables, 0 for the kernel's part of all.
inline void shootdown_begin(std::uint64_t shootdown, PhysicalAddress root, VirtualAddress begin,
                            std::uint64_t length) {
    PV_EMIT(shootdown_begin, shootdown, root.value(), begin.value(), length, 0, 0);
}

inline void shootdown_end(std::uint64_t shootdown, bool all_answered) {
    PV_EMIT(shootdown_end, shootdown, all_answered ? 0 : 1, 0, 0, 0, 0);
}

inline void frames_release(PhysicalAddress physical, std::uint64_t length) {
    PV_EMIT(frames_release, physical.value(), length, 0, 0, 0, 0);
}

#undef PV_EMIT

}  // namespace pv::marker
