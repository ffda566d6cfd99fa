# Golden logs of what the probe `ownership` writes: buffers that a processor touches while a device has them.
# SPDX-License-Identifier: MIT
from cases import case, run
from logs import *

RACE, UNSTABLE = "dma-cpu-race", "dma-unstable-data"
PROMISES = ALL_FEATURES | 0x80  # and leaves alone what a device has
BUFFER, GIVER, TOUCHER, PROGRAM = 0x640000, 0xFFFFFFFF80200040, 0xFFFFFFFF80300010, 0x401000
LINEAR = 0xFFFF888000000000
FROM, TO, DESCRIPTOR, LIST = 1, 2, 3, 4  # BufferRole
BARS = {NVME: NVME_BAR, VIRTIO: VIRTIO_BAR}


def given(log, device=NVME, number=17, queue=1, command=5):
    """Told of a command before the first line that names it."""
    log.line(f"paravane_buffer_command cpu 0 pc {GIVER:#x} command {number} registers {BARS[device]:#x} queue {queue} id {command} age 35")


def touch(log, role, store, address=BUFFER, size=8, pc=TOUCHER, number=17):
    log.line(f"paravane_buffer_race cpu 1 pc {pc:#x} command {number} address {LINEAR + address:#x} physical {address:#x} "
             f"buffer {address & ~0xFFF:#x} length 8192 access {int(store) | role << 4 | size << 8:#x}")


def totals(log, commands, races=0, skipped=0):
    log.line(f"paravane_ownership commands {commands} buffers {2 * commands} checked {commands} races {races} skipped {skipped}")


def probed(about, body, features=PROMISES, races=1):
    """A whole run under the probe."""
    def whole(log):
        totals(log, 0)
        log.hello(features)
        body(log)
        totals(log, 6, races)
    return run(about, whole)


def during_nvme(log, operation, body):
    """An NVMe command of two pages, with `body` while the disk has it."""
    log.map(NVME, BUFFER, 0x2000, FROM_DEVICE if operation == READ else TO_DEVICE)
    log.submit(NVME, 5, operation)
    log.take_nvme(5, operation, [BUFFER, BUFFER + 0x1000])
    body()
    log.complete_nvme(5)
    log.unmap(NVME, BUFFER)


@case(RACE, "breaks-read-early")
def _(about="a processor reads the buffer of a read before the disk has filled it; twice, for one command"):
    def body(log):
        def early():
            given(log)
            log.expect(RACE, NVME, BUFFER + 0x10, 8)
            touch(log, FROM, False, BUFFER + 0x10)
            touch(log, FROM, False, BUFFER + 0x1000)
        during_nvme(log, READ, early)
    return probed(about, body, races=2)


@case(RACE, "breaks-written-late")
def _(about="a processor writes what a disk is still to read, and the guest promised not to"):
    def body(log):
        def late():
            given(log)
            log.expect(RACE, NVME, BUFFER + 4, 1)
            touch(log, TO, True, BUFFER + 4, size=1)
        during_nvme(log, WRITE, late)
    return probed(about, body)


@case(RACE, "breaks-descriptor")
def _(about="a virtqueue's descriptor and an indirect table are changed behind the doorbell, by a kernel without promises"):
    def body(log):
        log.map(VIRTIO, 0x650000, 0x11, BOTH)
        log.map(VIRTIO, 0x651000, 0x1000, FROM_DEVICE)
        log.submit(VIRTIO, 5, READ)
        log.take_virtio(READ, [(0x650000, 16, 0), (0x651000, 4096, 1), (0x650010, 1, 1)])
        given(log, VIRTIO, queue=0)
        log.expect(RACE, VIRTIO, 0x20010, 2)
        touch(log, DESCRIPTOR, True, 0x20010, size=2)
        log.expect(RACE, VIRTIO, 0x652000, 8)
        touch(log, LIST, True, 0x652000)
        log.complete_virtio(5)
        log.unmap(VIRTIO, 0x650000)
        log.unmap(VIRTIO, 0x651000)
    return probed(about, body, features=ALL_FEATURES, races=2)


@case(RACE, "breaks-without-markers-of-commands")
def _(about="a driver that nobody announced: known by its registers alone"):
    def body(log):
        given(log, number=3, command=77)
        log.expect(RACE, NVME, 0x700000, 4)
        touch(log, FROM, True, 0x700000, size=4, number=3)
    return probed(about, body, features=ALL_FEATURES)


@case(RACE, "clean-probe")
def _(about="the probe saw commands and nothing wrong with them"):
    return probed(about, lambda log: log.nvme(9, READ, 0x660000), races=0)


@case(UNSTABLE, "breaks-file-page")
def _(about="a kernel writes a file's page anew on its way to the disk, as Linux may: advice"):
    def body(log):
        def late():
            given(log)
            log.expect(UNSTABLE, NVME, BUFFER, 8)
            touch(log, TO, True)
        during_nvme(log, WRITE, late)
    return probed(about, body, features=ALL_FEATURES)


@case(UNSTABLE, "breaks-program")
def _(about="a program reads its own buffer while the kernel has the disk read into it: advice"):
    def body(log):
        def early():
            given(log)
            log.expect(UNSTABLE, NVME, BUFFER, 8)
            touch(log, FROM, False, pc=PROGRAM)
        during_nvme(log, READ, early)
    return probed(about, body, features=ALL_FEATURES)
