#!/usr/bin/env python3
# Writes the golden logs, RULE/breaks*.log and RULE/clean*.log, beside itself: run it when their form changes.
# SPDX-License-Identifier: MIT
#
# `# expect RULE DEVICE ADDRESS LENGTH` before a line says that the line breaks the rule there ("-": not said).
# A log without such lines must stay silent under every rule.
import pathlib
import sys

import edge_cases  # noqa: F401: it adds to CASES
import foreign_cases  # noqa: F401: same
import ownership_cases  # noqa: F401: same
import protect_cases  # noqa: F401: same
import recovery_cases  # noqa: F401: same
import register_cases  # noqa: F401: same
import time_cases  # noqa: F401: same
import translation_cases  # noqa: F401: same
from cases import CASES, case, run
from logs import *

HERE = pathlib.Path(__file__).parent


@case("dma-outside-mapping", "breaks-nvme")
def _(about="an NVMe read goes to a page that was never mapped"):
    def body(log):
        log.submit(NVME, 5, READ)
        log.ring(1)
        log.fetch_breaking("dma-outside-mapping", 0x400000, 8192, 5, READ, [0x400000, 0x401000])
        log.complete_nvme(5)
    return run(about, body)


@case("dma-outside-mapping", "breaks-virtio-partly")
def _(about="a virtio-blk write reads 512 bytes beyond the end of its mapping"):
    def body(log):
        log.map(VIRTIO, 0x410000, 0x1000, TO_DEVICE)
        log.map(VIRTIO, 0x412000, 0x11, BOTH)
        log.submit(VIRTIO, 5, WRITE)
        log.mark("doorbell", VIRTIO, SPLIT, 0, 9)
        log.element += 1
        log.pop_virtio(None, [(0x412000, 0x10, 0), (0x410000, 0x1200, 0), (0x412010, 0x1, 1)], breaks={1: ("dma-outside-mapping", 0x411000, 512)})
        log.complete_virtio(5)
        log.unmap(VIRTIO, 0x410000)
        log.unmap(VIRTIO, 0x412000)
    return run(about, body)


@case("dma-outside-mapping", "breaks-other-device")
def _(about="a virtio-blk read goes to memory that is mapped for the NVMe disk"):
    def body(log):
        log.map(NVME, 0x420000, 0x1000, FROM_DEVICE)
        log.map(VIRTIO, 0x422000, 0x11, BOTH)
        log.submit(VIRTIO, 5, READ)
        log.element += 1
        log.pop_virtio(None, [(0x422000, 0x10, 0), (0x420000, 0x1000, 1)], breaks={1: ("dma-outside-mapping", 0x420000, 4096)})
        log.complete_virtio(5)
        log.unmap(NVME, 0x420000)
        log.unmap(VIRTIO, 0x422000)
    return run(about, body)


@case("dma-outside-mapping", "clean-neighbours")
def _(about="one access over two neighbouring mappings; a page mapped twice; firmware's accesses before hello"):
    def body(log):
        log.map(NVME, 0x430000, 0x800, FROM_DEVICE)
        log.map(NVME, 0x430800, 0x800, FROM_DEVICE)
        log.map(NVME, 0x430000, 0x1000, FROM_DEVICE, physical=0x900000)
        log.submit(NVME, 5, READ)
        log.take_nvme(5, READ, [0x430000])
        log.complete_nvme(5)
        mapping = log.mapping
        for i, (bus, length) in enumerate(((0x430000, 0x800), (0x430800, 0x800), (0x430000, 0x1000))):
            log.mark("dma_unmap", NVME, mapping - 2 + i, bus, length)
    return run(about, body)


@case("dma-after-unmap", "breaks-in-flight")
def _(about="an NVMe read's buffer is unmapped while the command is outstanding, and mapped again"):
    def body(log):
        log.map(NVME, 0x500000, 0x2000, FROM_DEVICE)
        log.submit(NVME, 5, READ)
        log.take_nvme(5, READ, [0x500000, 0x501000])
        log.expect("dma-after-unmap", NVME, 0x500000, 8192)
        log.unmap(NVME, 0x500000)
        log.map(NVME, 0x500000, 0x2000, FROM_DEVICE)
        log.complete_nvme(5)
        log.unmap(NVME, 0x500000)
    return run(about, body)


@case("dma-after-unmap", "breaks-later")
def _(about="a virtio-blk read goes to a buffer that was unmapped before it began"):
    def body(log):
        log.map(VIRTIO, 0x510000, 0x1000, FROM_DEVICE)
        log.map(VIRTIO, 0x512000, 0x11, BOTH)
        log.unmap(VIRTIO, 0x510000)
        log.submit(VIRTIO, 5, READ)
        log.element += 1
        log.pop_virtio(None, [(0x512000, 0x10, 0), (0x510000, 0x1000, 1), (0x512010, 0x1, 1)], breaks={1: ("dma-after-unmap", 0x510000, 4096)})
        log.complete_virtio(5)
        log.unmap(VIRTIO, 0x512000)
    return run(about, body)


@case("dma-after-unmap", "clean-quarantine")
def _(about="a read times out; its buffer is quarantined, and unmapped after the late completion or the reset"):
    def body(log):
        log.map(NVME, 0x520000, 0x1000, FROM_DEVICE)
        log.map(NVME, 0x521000, 0x1000, FROM_DEVICE)
        for command, bus in ((5, 0x520000), (6, 0x521000)):
            log.submit(NVME, command, READ)
            log.take_nvme(command, READ, [bus])
        log.sleep(2.02)
        for command, bus in ((5, 0x520000), (6, 0x521000)):
            log.tell("timeout", NVME)
            log.mark("command_timeout", NVME, 1, command, 20_000_000)
            log.mark("dma_quarantine", NVME, log.mappings[NVME, bus][0], bus, 0x1000)
            log.mark("command_failed", NVME, 1, command, 1)
        log.tell("late completion", NVME)
        log.complete_nvme(5, markers=False)
        log.unmap(NVME, 0x520000)
        log.tell("reset", NVME)
        log.mark("device_reset", NVME, 1)
        log.set_cc(0x460000, 0)
        log.unmap(NVME, 0x521000)
    return run(about, body)


@case("dma-direction", "breaks-nvme")
def _(about="an NVMe read goes to a buffer that is mapped for reading by the device"):
    def body(log):
        log.map(NVME, 0x600000, 0x1000, TO_DEVICE)
        log.submit(NVME, 5, READ)
        log.ring(1)
        log.fetch_breaking("dma-direction", 0x600000, 4096, 5, READ, [0x600000])
        log.complete_nvme(5)
        log.unmap(NVME, 0x600000)
    return run(about, body)


@case("dma-direction", "breaks-virtio")
def _(about="a virtio-blk write reads a buffer that is mapped for writing by the device"):
    def body(log):
        log.map(VIRTIO, 0x610000, 0x1000, FROM_DEVICE)
        log.map(VIRTIO, 0x612000, 0x11, BOTH)
        log.submit(VIRTIO, 5, WRITE)
        log.element += 1
        log.pop_virtio(None, [(0x612000, 0x10, 0), (0x610000, 0x1000, 0), (0x612010, 0x1, 1)], breaks={1: ("dma-direction", 0x610000, 4096)})
        log.complete_virtio(5)
        log.unmap(VIRTIO, 0x610000)
        log.unmap(VIRTIO, 0x612000)
    return run(about, body)


@case("dma-leak", "breaks")
def _(about="three mappings from one place are live at power-off: one finding; a quarantined one is none"):
    def body(log):
        for i in range(3):
            log.map(NVME, 0x700000 + 0x1000 * i, 0x1000, FROM_DEVICE)
        log.map(NVME, 0x710000, 0x1000, FROM_DEVICE)
        log.mark("dma_quarantine", NVME, log.mapping, 0x710000, 0x1000)
        log.stop_nvme()
        log.stop_virtio()
        log.expect("dma-leak", NVME, 0x700000, 4096)
        log.goodbye()
    log = Log(about)
    log.begin()
    log.work()
    body(log)
    return log


@case("dma-double-map", "breaks-twice")
def _(about="a mapping is unmapped twice"):
    def body(log):
        log.map(NVME, 0x720000, 0x1000, FROM_DEVICE)
        log.unmap(NVME, 0x720000)
        log.expect("dma-double-map", NVME, 0x720000, 4096)
        log.unmap(NVME, 0x720000)
    return run(about, body)


@case("dma-double-map", "breaks-shared")
def _(about="512 bytes are writable by both disks at once; sharing what only one may write is allowed"):
    def body(log):
        log.map(NVME, 0x730000, 0x1000, FROM_DEVICE)
        log.map(VIRTIO, 0x730000, 0x1000, TO_DEVICE)
        log.unmap(VIRTIO, 0x730000)
        log.expect("dma-double-map", VIRTIO, 0x730E00, 512)
        log.map(VIRTIO, 0x730E00, 0x1000, FROM_DEVICE)
        log.unmap(VIRTIO, 0x730E00)
        log.unmap(NVME, 0x730000)
    return run(about, body)


@case("dma-double-map", "breaks-id")
def _(about="an id is given to a second mapping, and one that never was is unmapped"):
    def body(log):
        log.map(NVME, 0x740000, 0x1000, FROM_DEVICE)
        log.expect("dma-double-map", NVME, 0x741000)
        log.mark("dma_map", NVME, log.mapping, 0x741000, 0x741000, 0x1000, FROM_DEVICE)
        log.mark("dma_unmap", NVME, log.mapping, 0x741000, 0x1000)
        log.expect("dma-double-map", VIRTIO, 0x742000)
        log.mark("dma_unmap", VIRTIO, 0x9999, 0x742000, 0x1000)
    return run(about, body)


@case("dma-descriptor", "breaks-prp-entry")
def _(about="an entry of an NVMe command's PRP list is not page aligned: QEMU refuses the command"):
    def body(log):
        log.map(NVME, 0x800000, 0x4000, FROM_DEVICE)
        log.map(NVME, 0x810000, 0x1000, TO_DEVICE)
        log.submit(NVME, 5, READ)
        log.ring(1)
        log.line("pci_nvme_io_cmd cid 5 nsid 0x1 sqid 1 opc 0x2 opname 'IO'", 500)
        log.line("pci_nvme_read cid 5 nsid 1 nlb 32 count 16384 lba 0x0", 500)
        log.line("pci_nvme_map_prp trans_len 4096 len 16384 prp1 0x800000 prp2 0x810000 num_prps 5", 500)
        log.line("pci_nvme_map_addr addr 0x800000 len 4096", 500)
        log.expect("dma-descriptor", NVME)
        log.line("pci_nvme_err_invalid_prplist_ent PRP list entry is not page aligned: 0x801008", 500)
        log.line("pci_nvme_enqueue_req_completion cid 5 cqid 1 dw0 0x0 dw1 0x0 status 0x4013", 500)
        log.line("pci_nvme_err_req_status cid 5 nsid 1 status 0x4013 opc 0x2", 500)
        log.answer(1)
        log.mark("command_complete", NVME, 1, 5, 0x4013)
        log.unmap(NVME, 0x800000)
        log.unmap(NVME, 0x810000)
    return run(about, body)


@case("dma-descriptor", "breaks-prp-list-unmapped")
def _(about="an NVMe command's PRP list lies in memory that is not mapped for the device"):
    def body(log):
        log.map(NVME, 0x800000, 0x4000, FROM_DEVICE)
        log.submit(NVME, 5, READ)
        log.ring(1)
        log.fetch_breaking("dma-descriptor", 0x820000, 24, 5, READ, [0x800000 + 0x1000 * i for i in range(4)], prp2=0x820000, at="map_prp")
        log.complete_nvme(5)
        log.unmap(NVME, 0x800000)
    return run(about, body)


@case("dma-descriptor", "breaks-chain")
def _(about="a virtqueue's chain loops; another one's indirect table is not mapped"):
    def body(log):
        log.submit(VIRTIO, 9, READ)
        log.mark("doorbell", VIRTIO, SPLIT, 0, 9)
        log.expect("dma-descriptor", VIRTIO, 9)
        log.line("paravane_ring_fault cpu 0 bdf 0x88 queue 0 chain 9 fault 2 value 9")
        log.mark("command_failed", VIRTIO, 0, 9, 1)
        log.mark("doorbell", VIRTIO, SPLIT, 0, 10)
        log.expect("dma-descriptor", VIRTIO, 0x830000, 48)
        log.line("paravane_ring_indirect cpu 0 bdf 0x88 queue 0 chain 10 address 0x830000 length 48")
        log.line("paravane_ring_request cpu 0 bdf 0x88 queue 0 chain 10 operation 1 sector 0 descriptors 3")
    return run(about, body)


@case("mmio-unmapped", "breaks-hole")
def _(about="a read at an offset where NVMe defines nothing"):
    def body(log):
        log.expect("mmio-unmapped", NVME, NVME_BAR + 0x800, 4)
        log.read(NVME_BAR + 0x800, 0)
    return run(about, body)


@case("mmio-unmapped", "breaks-refused")
def _(about="a write beyond the common configuration structure, an access where no device is, and one that a device refused"):
    def body(log):
        log.expect("mmio-unmapped", VIRTIO, VIRTIO_BAR + 0x80, 4)
        log.write(VIRTIO_BAR + 0x80, 1, "virtio-pci-common-virtio-blk")
        log.sleep(0.01)
        log.expect("mmio-unmapped", None, 0xFE000000, 4)
        log.lines.append("Invalid read at addr 0xFE000000, size 4, region '(null)', reason: rejected")
        # Counts from the region's start: the same number as an address would be in a window of the virtio disk.
        log.line("pci_update_mappings_add virtio-blk-pci 00:11.0 0,0xc000+0x80")
        log.sleep(0.01)
        log.expect("mmio-unmapped", None, 0xC010, 4)
        log.lines.append("Invalid write at addr 0xC010, size 4, region 'nvme', reason: rejected")
    return run(about, body)


@case("mmio-doorbell", "breaks-nvme")
def _(about="a tail beyond the queue, a head past the tail, and a doorbell of no queue"):
    def body(log):
        log.expect("mmio-doorbell", NVME, NVME_BAR + 0x1008, 4)
        log.write(NVME_BAR + 0x1008, 8)
        log.line("pci_nvme_ub_db_wr_invalid_sqtail submission queue doorbell write value beyond queue size, sqid=1, new_head=8, ignoring")
        log.expect("mmio-doorbell", NVME, NVME_BAR + 0x100C, 4)
        log.write(NVME_BAR + 0x100C, (log.head[1] + 1) % 8)
        log.head[1] = (log.head[1] + 1) % 8
        log.expect("mmio-doorbell", NVME, NVME_BAR + 0x1018, 4)
        log.write(NVME_BAR + 0x1018, 1)
        log.line("pci_nvme_ub_db_wr_invalid_sq submission queue doorbell write for nonexistent queue, sqid=3, ignoring")
    return run(about, body)


@case("mmio-doorbell", "breaks-full")
def _(about="a tail moves past the head: five entries are free, six are claimed"):
    def body(log):
        for command in (5, 6):
            log.map(NVME, 0x900000 + 0x1000 * command, 0x1000, READ)
        log.mark("command_submit", NVME, 1, 5, FLUSH, SECOND)
        log.mark("command_submit", NVME, 1, 6, FLUSH, SECOND)
        log.ring(1, by=2)
        log.expect("mmio-doorbell", NVME, NVME_BAR + 0x1008, 4)
        log.ring(1, markers=False, by=6)
        for command in (5, 6):
            log.fetch_nvme(command, FLUSH, [])
            log.complete_nvme(command)
        for command in (5, 6):
            log.unmap(NVME, 0x900000 + 0x1000 * command)
    return run(about, body)


@case("mmio-doorbell", "breaks-virtio")
def _(about="a virtqueue's available index jumps by more than its size; a queue that is not there is notified"):
    def body(log):
        log.mark("doorbell", VIRTIO, SPLIT, 0, 400)
        log.expect("mmio-doorbell", VIRTIO)
        log.line("paravane_ring_fault cpu 0 bdf 0x88 queue 0 chain 0 fault 6 value 400")
        log.expect("mmio-doorbell", VIRTIO, VIRTIO_BAR + 0x3010, 2)
        log.write(VIRTIO_BAR + 0x3010, 4, "virtio-pci-notify-virtio-blk", 2)
    return run(about, body)


@case("mmio-poll-unbounded", "breaks-stated")
def _(about="a register is polled for 1.5 s, the wait's deadline was 0.2 s"):
    def body(log):
        log.mark("wait_begin", 77, 1, SECOND // 5, NVME_BAR + 0x1C)
        for i in range(15):
            if i == 6:
                log.expect("mmio-poll-unbounded", NVME, NVME_BAR + 0x1C)
            log.read(NVME_BAR + 0x1C, 1)
            log.sleep(0.1)
        log.mark("wait_end", 77, 1)
    return run(about, body)


@case("mmio-poll-unbounded", "breaks-default")
def _(about="a register is polled for 12 s in no stated wait"):
    def body(log):
        for i in range(240):
            if i == 200:
                log.expect("mmio-poll-unbounded", NVME, NVME_BAR + 0x1C)
            log.read(NVME_BAR + 0x1C, 1)
            log.sleep(0.05)
    return run(about, body)


@case("mmio-poll-unbounded", "clean-slow")
def _(about="a stated wait of 30 s that takes 15 s; reads that change, that are far apart, or are of interrupts"):
    def body(log):
        log.mark("wait_begin", 78, 1, 30 * SECOND, NVME_BAR + 0x1C)
        for i in range(300):
            log.read(NVME_BAR + 0x1C, 0)
            log.sleep(0.05)
        log.mark("wait_end", 78, 0)
        for i in range(120):
            log.read(VIRTIO_BAR + 0x1000, 1, "virtio-pci-isr-virtio-blk", 1)
            log.read(NVME_BAR + 0x1C, i % 2)
            log.sleep(0.09)
        for i in range(60):
            log.read(NVME_BAR + 0x1C, 1)
            log.sleep(0.2)
    return run(about, body)


@case("cmd-deadline", "breaks-none")
def _(about="a command without a deadline"):
    def body(log):
        log.map(NVME, 0xA00000, 0x1000, READ)
        log.expect("cmd-deadline", NVME)
        log.submit(NVME, 5, WRITE, 0)
        log.take_nvme(5, WRITE, [0xA00000])
        log.complete_nvme(5)
        log.unmap(NVME, 0xA00000)
    return run(about, body)


@case("cmd-deadline", "breaks-late")
def _(about="a deadline of 1 s passes and the driver does nothing for 3 s; another is 0.1 s late, within the slack"):
    def body(log):
        log.map(VIRTIO, 0xA10000, 0x11, BOTH)
        log.expect("cmd-deadline", VIRTIO)
        log.submit(VIRTIO, 5, FLUSH, SECOND)
        log.take_virtio(FLUSH, [(0xA10000, 16, 0), (0xA10010, 1, 1)])
        log.sleep(3)
        log.complete_virtio(5, told="slow")
        log.submit(VIRTIO, 6, FLUSH, SECOND)
        log.take_virtio(FLUSH, [(0xA10000, 16, 0), (0xA10010, 1, 1)])
        log.sleep(1.1)
        log.tell("timeout", VIRTIO)
        log.mark("command_timeout", VIRTIO, 0, 6, SECOND // 10)
        log.complete_virtio(6, told="late completion")
        log.unmap(VIRTIO, 0xA10000)
    return run(about, body)


@case("cmd-deadline", "clean-ended-by-the-host")
def _(about="the host ends the guest while a flush is outstanding; its deadline passes with the processors standing still"):
    def body(log):
        log.map(VIRTIO, 0xA10000, 0x11, BOTH)
        log.submit(VIRTIO, 5, FLUSH, SECOND)
        log.take_virtio(FLUSH, [(0xA10000, 16, 0), (0xA10010, 1, 1)])
        log.line("paravane_lifecycle state 'ending' detail ''")
        log.sleep(3)
        log.complete_virtio(5, told="slow")
        log.unmap(VIRTIO, 0xA10000)
    return run(about, body)


@case("cmd-lost", "breaks-never-kicked")
def _(about="a virtqueue's chain is made available, never fetched, and forgotten at power-off"):
    log = Log(about)
    log.begin()
    log.work()
    log.expect("cmd-lost", VIRTIO)
    log.submit(VIRTIO, 5, FLUSH)
    log.stop_nvme()
    log.goodbye()
    # The device is let go without a reset: its memory is unmapped, its queue no longer named.
    unmapped = log.mappings[VIRTIO, 0x20000]
    log.lines.pop()
    log.mark("dma_unmap", VIRTIO, unmapped[0], 0x20000, unmapped[1])
    log.goodbye()
    return log


@case("cmd-lost", "breaks-unnoticed")
def _(about="the device completes a flush, and the driver never notices"):
    def body(log):
        log.expect("cmd-lost", NVME)
        log.submit(NVME, 5, FLUSH)
        log.take_nvme(5, FLUSH, [])
        log.complete_nvme(5, markers=False)
    return run(about, body)


@case("cmd-lost", "clean-events")
def _(about="an Asynchronous Event Request that never completes, and a flush that a reset ends"):
    def body(log):
        log.submit(NVME, 5, FLUSH)
        log.take_nvme(5, FLUSH, [])
        log.mark("command_submit", NVME, 0, 9, ADMIN, 0xFFFF * SECOND)
        log.ring(0)
        log.line("pci_nvme_admin_cmd cid 9 sqid 0 opc 0xc opname 'ASYNC_EV_REQ'", 500)
        log.tell("reset", NVME)  # the one at shutdown
    return run(about, body)


@case("cmd-duplicate", "breaks-id")
def _(about="a second command is submitted under an id that is outstanding; both complete"):
    def body(log):
        log.map(NVME, 0xB00000, 0x2000, FROM_DEVICE)
        log.submit(NVME, 5, READ)
        log.take_nvme(5, READ, [0xB00000])
        log.expect("cmd-duplicate", NVME)
        log.submit(NVME, 5, READ)
        log.take_nvme(5, READ, [0xB01000])
        log.complete_nvme(5)
        log.complete_nvme(5)
        log.unmap(NVME, 0xB00000)
    return run(about, body)


@case("cmd-duplicate", "breaks-id-unnoticed")
def _(about="a second command under an outstanding id, whose completion nobody notices: not also lost"):
    def body(log):
        log.submit(NVME, 5, FLUSH)
        log.expect("cmd-duplicate", NVME)
        log.submit(NVME, 5, FLUSH)
        log.ring(1, by=2)
        for _ in range(2):
            log.fetch_nvme(5, FLUSH, [])
        log.complete_nvme(5)
        log.complete_nvme(5, markers=False)
    return run(about, body)


@case("cmd-duplicate", "breaks-stray")
def _(about="a completion for an id that is not outstanding; the driver refuses it: one finding"):
    def body(log):
        log.expect("cmd-duplicate", NVME)
        log.line("pci_nvme_enqueue_req_completion cid 30 cqid 1 dw0 0x0 dw1 0x0 status 0x0", 500)
        log.mark("command_refused", NVME, 1, 30)
    return run(about, body)


@case("cmd-duplicate", "breaks-refused")
def _(about="the driver of the virtio disk refuses a completion, and it had not given up on that id"):
    def body(log):
        log.expect("cmd-duplicate", VIRTIO)
        log.mark("command_refused", VIRTIO, 0, 31)
    return run(about, body)


@case("flush-order", "breaks-no-flush")
def _(about="a write is acknowledged as durable, and no flush was sent"):
    def body(log):
        log.nvme(5, WRITE, 0xC00000)
        log.mark("durable_begin", NVME, 9)
        log.expect("flush-order", NVME)
        log.mark("durable_end", NVME, 9, 0)
    return run(about, body)


@case("flush-order", "breaks-too-early")
def _(about="the flush began before the write was completed; a failed flush acknowledges nothing"):
    def body(log):
        log.map(NVME, 0xC10000, 0x1000, TO_DEVICE)
        log.submit(NVME, 5, WRITE)
        log.take_nvme(5, WRITE, [0xC10000])
        log.submit(NVME, 6, FLUSH)
        log.take_nvme(6, FLUSH, [])
        log.complete_nvme(5)
        log.mark("durable_begin", NVME, 9)
        log.complete_nvme(6)
        log.expect("flush-order", NVME)
        log.mark("durable_end", NVME, 9, 0)
        log.unmap(NVME, 0xC10000)
        log.nvme(7, WRITE, 0xC20000)
        log.mark("durable_begin", NVME, 10)
        log.submit(NVME, 8, FLUSH)
        log.take_nvme(8, FLUSH, [])
        log.complete_nvme(8, status=0x6)
        log.mark("durable_end", NVME, 10, 5)
    return run(about, body)


@case("flush-order", "clean-no-cache")
def _(about="a virtio disk without VIRTIO_BLK_F_FLUSH writes through; nothing written needs no flush"):
    log = Log(about)
    log.boot()
    log.hello()
    log.start_virtio(features=0x44)
    log.mark("durable_begin", VIRTIO, 1)
    log.mark("durable_end", VIRTIO, 1, 0)
    log.virtio(1, WRITE, 0x200000)
    log.mark("durable_begin", VIRTIO, 2)
    log.mark("durable_end", VIRTIO, 2, 0)
    log.stop_virtio()
    log.goodbye()
    return log


@case("all", "clean")
def _(about="a guest with markers that does everything right: every rule holds"):
    def body(log):
        for i in range(20):
            log.nvme(100 + i, WRITE if i % 3 else READ, 0xD00000 + 0x10000 * i, 1 + i % 2)
            log.virtio(100 + i, READ if i % 3 else WRITE, 0xE00000 + 0x10000 * i)
        # virtio's requests overtake: two in flight, returned in the other order
        log.map(VIRTIO, 0xF00000, 0x22, BOTH)
        log.submit(VIRTIO, 40, FLUSH)
        log.take_virtio(FLUSH, [(0xF00000, 16, 0), (0xF00010, 1, 1)])
        first = log.element
        log.submit(VIRTIO, 41, FLUSH)
        log.take_virtio(FLUSH, [(0xF00011, 16, 0), (0xF00021, 1, 1)])
        log.complete_virtio(41)
        log.complete_virtio(40, element=first)
        log.unmap(VIRTIO, 0xF00000)
    return run(about, body)


def main():
    """With --check, says which logs are not what would be written."""
    written = {HERE / rule / f"{name}.log": function().text() for (rule, name), function in CASES.items()}
    if sys.argv[1:] == ["--check"]:
        wrong = [path for path, text in written.items() if not path.exists() or path.read_text() != text]
        wrong += [path for path in HERE.glob("*/*.log") if path not in written]
        for path in wrong:
            print(f"{path} is not what write_logs.py writes: run it")
        sys.exit(1 if wrong else 0)
    for path, text in written.items():
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)


if __name__ == "__main__":
    main()
