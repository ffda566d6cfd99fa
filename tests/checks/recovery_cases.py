# Golden logs of recoveries: what QEMU does with its main loop held is not the guest's time.
# SPDX-License-Identifier: MIT
from cases import case, run
from logs import *


def while_a_queue_is_deleted(log, silent):
    """A flush of the other disk is outstanding while QEMU deletes an NVMe queue for three seconds."""
    log.map(VIRTIO, 0xA10000, 0x11, BOTH)
    if silent:
        log.expect("cmd-deadline", VIRTIO)
    log.submit(VIRTIO, 5, FLUSH, SECOND)
    log.take_virtio(FLUSH, [(0xA10000, 16, 0), (0xA10010, 1, 1)])
    log.line("pci_nvme_del_sq deleting submission queue sqid=2", 500)
    log.sleep(3)
    log.read(NVME_BAR + 0x1C, 1)
    log.sleep(silent)
    log.complete_virtio(5, told="slow")
    log.unmap(VIRTIO, 0xA10000)


@case("cmd-deadline", "clean-main-loop-held")
def _(about="QEMU holds its main loop while it deletes an NVMe queue; another disk's deadline passes meanwhile"):
    return run(about, lambda log: while_a_queue_is_deleted(log, 0))


@case("cmd-deadline", "breaks-after-main-loop-held")
def _(about="QEMU holds its main loop while it deletes an NVMe queue; a driver does nothing for two seconds after it"):
    return run(about, lambda log: while_a_queue_is_deleted(log, 2))


def while_a_virtio_disk_is_reset(log, silent):
    """A flush of an NVMe disk is outstanding while QEMU drains a virtio disk for three seconds, before it tells of the status."""
    if silent:
        log.expect("cmd-deadline", NVME)
    log.submit(NVME, 5, FLUSH, SECOND)
    log.take_nvme(5, FLUSH, [])
    log.tell("reset", VIRTIO)
    log.mark("device_reset", VIRTIO, 1)
    log.write(VIRTIO_BAR + 0x14, 0, "virtio-pci-common-virtio-blk", 1)
    log.sleep(1)
    log.line("blk_co_preadv blk 0x5500f000 bs 0x5500f100 offset 0 bytes 4096 flags 0x0", 500)
    log.sleep(2)
    log.line(f"virtio_set_status vdev {VDEV:#x} val 0")
    # Not a register: what the processor does that wrote is enough to show that it goes on.
    log.mark("recovery_step", VIRTIO, 1, 4, SECOND)
    log.sleep(silent)
    log.read(VIRTIO_BAR + 0x14, 0, "virtio-pci-common-virtio-blk", 1)
    log.tell("slow", NVME)
    log.complete_nvme(5)


@case("cmd-deadline", "clean-virtio-drained")
def _(about="QEMU drains a virtio disk that is reset, and tells of the reset after it; another disk's deadline passes meanwhile"):
    return run(about, lambda log: while_a_virtio_disk_is_reset(log, 0))


@case("cmd-deadline", "breaks-after-virtio-drained")
def _(about="QEMU drains a virtio disk that is reset; a driver does nothing for two seconds after it"):
    return run(about, lambda log: while_a_virtio_disk_is_reset(log, 2))


def timed_out(log, command):
    """A command's deadline passes."""
    log.sleep(2.02)
    log.tell("timeout", NVME)
    log.mark("command_timeout", NVME, 1, command, 20_000_000)


def given_up(log, command, bus, operation=READ):
    """A read or write that the device took, and whose caller has its error."""
    log.map(NVME, bus, 0x1000, FROM_DEVICE if operation == READ else TO_DEVICE)
    log.submit(NVME, command, operation)
    log.take_nvme(command, operation, [bus])
    timed_out(log, command)
    log.mark("command_failed", NVME, 1, command, 1)


def timed_out_untaken(log, command, bus):
    """A read that times out before the device takes it."""
    log.map(NVME, bus, 0x1000, FROM_DEVICE)
    log.submit(NVME, command, READ)
    log.ring(1)
    timed_out(log, command)


@case("cmd-late", "breaks-unmapped")
def _(about="a read is given up and its buffer unmapped; the device ends it later"):
    def body(log):
        given_up(log, 5, 0xA20000)
        log.expect("cmd-late", NVME, 0xA20000, 4096)
        log.unmap(NVME, 0xA20000)
        log.tell("late completion", NVME)
        log.complete_nvme(5, markers=False)
    return run(about, body)


@case("cmd-late", "breaks-used-again")
def _(about="the buffer of a read that was given up serves the next read, while the device may still write the first"):
    def body(log):
        given_up(log, 5, 0xA30000)
        log.submit(NVME, 6, READ)
        log.ring(1)
        log.fetch_breaking("cmd-late", 0xA30000, 4096, 6, READ, [0xA30000])
        log.complete_nvme(6)
        log.tell("late completion", NVME)
        log.complete_nvme(5, markers=False)
        log.unmap(NVME, 0xA30000)
    return run(about, body)


@case("cmd-late", "breaks-taken-late")
def _(about="a read is given up and its buffer unmapped before the device takes it"):
    def body(log):
        timed_out_untaken(log, 5, 0xA40000)
        log.unmap(NVME, 0xA40000)
        log.fetch_breaking("cmd-late", 0xA40000, 4096, 5, READ, [0xA40000])
        log.tell("late completion", NVME)
        log.complete_nvme(5)
    return run(about, body)


@case("cmd-late", "clean-waited-for")
def _(about="two reads are given up: one buffer serves again after the late completion, the other after a reset"):
    def body(log):
        given_up(log, 5, 0xA50000)
        log.tell("late completion", NVME)
        log.complete_nvme(5, markers=False)
        log.submit(NVME, 6, READ)
        log.take_nvme(6, READ, [0xA50000])
        log.complete_nvme(6)
        log.unmap(NVME, 0xA50000)
        given_up(log, 7, 0xA60000)
        log.tell("reset", NVME)
        log.mark("device_reset", NVME, 1)
        log.set_cc(0x460000, 0)
        log.unmap(NVME, 0xA60000)
    return run(about, body)
