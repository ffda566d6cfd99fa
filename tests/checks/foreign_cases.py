# Golden logs of what other kernels do: refusals after a driver gave up, ids and devices nobody expects.
# SPDX-License-Identifier: MIT
from cases import case, run
from logs import *


@case("cmd-lost", "clean-refused")
def _(about="a command times out, its driver forgets it, and refuses the completion that comes late: noticed"):
    def body(log):
        log.submit(NVME, 5, FLUSH)
        log.take_nvme(5, FLUSH, [])
        log.tell("timeout", NVME)
        log.mark("command_timeout", NVME, 1, 5, 1000)
        log.mark("command_failed", NVME, 1, 5, 3)
        log.complete_nvme(5, markers=False)
        log.mark("command_refused", NVME, 1, 5)
    return run(about, body)


@case("cmd-duplicate", "clean-refused-after-failure")
def _(about="a driver fails a command without a timeout, the device completes it, the driver refuses that"):
    def body(log):
        log.submit(NVME, 5, FLUSH)
        log.take_nvme(5, FLUSH, [])
        log.mark("command_failed", NVME, 1, 5, 3)
        log.complete_nvme(5, markers=False)
        log.nvme(6, READ, 0xB00000)
        log.mark("command_refused", NVME, 1, 5)
    return run(about, body)


@case("cmd-duplicate", "breaks-refused-outstanding")
def _(about="a driver refuses the completion of a command it still has: one finding, and the command is not lost too"):
    def body(log):
        log.submit(NVME, 5, FLUSH)
        log.take_nvme(5, FLUSH, [])
        log.complete_nvme(5, markers=False)
        log.expect("cmd-duplicate", NVME)
        log.mark("command_refused", NVME, 1, 5)
    return run(about, body)


@case("dma-double-map", "breaks-id-in-use")
def _(about="an id is mapped again while it is live; the device still uses the memory it stood for"):
    def body(log):
        log.map(NVME, 0xA80000, 0x1000, FROM_DEVICE)
        log.submit(NVME, 5, READ)
        log.take_nvme(5, READ, [0xA80000])
        identity = log.mappings[NVME, 0xA80000][0]
        log.complete_nvme(5)
        log.expect("dma-double-map", NVME)
        log.mark("dma_map", NVME, identity, 0xA90000, 0xA90000, 0x1000, FROM_DEVICE)
        log.mark("dma_unmap", NVME, identity, 0xA90000, 0x1000)
        del log.mappings[NVME, 0xA80000]
    return run(about, body)


def translated(log, device, page, physical=None, rights=3, rule=None):
    """A unit walks its tables for a page, and lets the device through; `rule` is broken by that."""
    physical = page if physical is None else physical
    log.line(f"vtd_iotlb_page_update IOTLB page update sid {device:#x} iova {page:#x} slpte {physical | rights:#x} domain 0x1", 500)
    if rule:
        log.expect(rule, device, page, 4096)
    log.line(f"vtd_dmar_translate dev {device >> 8:02x}:{device >> 3 & 31:02x}.{device & 7:02x} iova {page:#x} -> gpa {physical:#x} mask 0xfff", 500)


def read(log, page, invalidate=True):
    """A read through VT-d, its mapping ended; the cached translation with it, or not."""
    log.map(NVME, page, 0x1000, FROM_DEVICE)
    log.submit(NVME, 5, READ)
    log.take_nvme(5, READ, [page])
    translated(log, NVME, page)
    log.complete_nvme(5)
    if invalidate:
        log.line(f"vtd_inv_desc_iotlb_pages iotlb invalidate domain 0x1 addr {page:#x} mask 0x0", 500)
    log.unmap(NVME, page)


@case("iommu-fault", "breaks-refused")
def _(about="the IOMMU refuses a device's write, piece by piece; QEMU tells each piece again as an access to nothing"):
    def body(log):
        read(log, 0xB00000)
        log.expect("iommu-fault", NVME, 0xC00000)
        for piece in range(4):
            log.line(f"vtd_dmar_fault sid {NVME:#x} fault 5 addr {0xC00000 + 4 * piece:#x} write 1", 500)
            log.lines.append(f"Invalid write at addr {0xC00000 + 4 * piece:#x}, size 4, region '(null)', reason: rejected")
    return run(about, body)


@case("iommu-stale-entry", "breaks-frame-reused")
def _(about="a mapping ends, its translation stays cached, and its frame is mapped again"):
    def body(log):
        read(log, 0xB00000, invalidate=False)
        log.expect("iommu-stale-entry", NVME, 0xB00000, 0x1000)
        log.map(VIRTIO, 0xC00000, 0x1000, FROM_DEVICE, physical=0xB00000)
        log.unmap(VIRTIO, 0xC00000)
    return run(about, body)


@case("iommu-stale-entry", "clean-invalidated")
def _(about="frames are used again after invalidations by page, by domain, and after the unit dropped its cache"):
    def body(log):
        read(log, 0xB00000)
        read(log, 0xB00000, invalidate=False)
        log.line("vtd_inv_desc_iotlb_domain iotlb invalidate whole domain 0x1", 500)
        read(log, 0xB00000, invalidate=False)
        log.line("vtd_iotlb_reset IOTLB reset (reason: IOTLB entry num exceeds limit)", 500)
        read(log, 0xB00000)
    return run(about, body)


def said(features, body):
    """A guest that promises only `features`, and keeps to that."""
    def make(about):
        log = Log(about)
        log.boot()
        log.hello(features)
        body(log)
        log.goodbye()
        return log
    return make


@case("all", "clean-foreign-maps-only")
def _(about="a guest that promises mappings and marks nothing else"):
    def body(log):
        log.map(NVME, 0x10000, 0x2000, BOTH)
        log.map(NVME, 0x12000, 0x2000, BOTH)
        log.start_nvme(markers=False)
        for command in range(3):
            log.map(NVME, 0x100000, 0x1000, FROM_DEVICE)
            log.take_nvme(command, READ, [0x100000], markers=False)
            log.complete_nvme(command, markers=False)
            log.unmap(NVME, 0x100000)
        log.stop_nvme(markers=False)
        log.unmap(NVME, 0x10000)
        log.unmap(NVME, 0x12000)
    return said(1, body)(about)


@case("all", "clean-foreign-marker-before-hello")
def _(about="a marker before hello is refused as of version 0; hello follows, and everything is judged"):
    log = Log(about)
    log.line("paravane_marker_refused cpu 0 pc 0xffffffff80100000 version 0x0")
    log.begin()
    log.work()
    log.end()
    return log


@case("all", "clean-foreign-four-cpus")
def _(about="commands of both disks from four CPUs, submitted and ended in turns"):
    def body(log):
        disks = [(NVME, 5), (NVME, 6), (VIRTIO, 5), (VIRTIO, 6)]
        elements = {}
        for cpu, (device, command) in enumerate(disks):
            bus = 0xE00000 + 0x10000 * cpu
            log.map(device, bus, 0x1000, FROM_DEVICE)
            if device == VIRTIO:
                log.map(VIRTIO, bus + 0x1000, 0x11, BOTH)
            log.mark("command_submit", device, 1 if device == NVME else 0, command, READ, 2 * SECOND, cpu=cpu)
            if device == NVME:
                log.take_nvme(command, READ, [bus])
            else:
                log.take_virtio(READ, [(bus + 0x1000, 16, 0), (bus, 0x1000, 1), (bus + 0x1010, 1, 1)])
                elements[command] = log.element
        log.complete_virtio(6, element=elements[6])
        log.complete_nvme(6)
        log.complete_virtio(5, element=elements[5])
        log.complete_nvme(5)
        for cpu, (device, _) in enumerate(disks):
            log.unmap(device, 0xE00000 + 0x10000 * cpu)
            if device == VIRTIO:
                log.unmap(VIRTIO, 0xE01000 + 0x10000 * cpu)
    return run(about, body)


@case("all", "clean-foreign-no-disk")
def _(about="a guest that promises everything and drives nothing"):
    return said(ALL_FEATURES, lambda log: None)(about)


@case("all", "clean-foreign-second-hello")
def _(about="a kernel works, lets go of its devices, and starts another one, which says hello again"):
    log = Log(about)
    log.boot()
    for _ in range(2):
        log.hello()
        log.start_nvme()
        log.start_virtio()
        log.work()
        log.stop_nvme()
        log.stop_virtio()
        log.tail, log.head = {}, {}
    log.goodbye()
    return log


@case("all", "clean-foreign-nonsense")
def _(about="lengths that wrap, devices, ids and queues that are not there: nothing is harmed, nothing is made up"):
    def body(log):
        most = 2**64 - 1
        for address, length in ((0xFFFFFFFFFFFFF000, most), (1, most), (0x8000000000000000, 1 << 63)):
            log.map(NVME, address, length, TO_DEVICE)
            log.unmap(NVME, address)
        log.mark("dma_quarantine", 0x1234, most, most, most)
        log.mark("queue_delete", most, most, most)
        log.mark("doorbell", 0xFFFF, 99, most, most)
        log.mark("command_timeout", 0xFFFF, most, most, most)
        log.mark("command_failed", 0xFFFF, most, most, most)
        log.mark("wait_end", most, most)
        log.mark("durable_end", 0xFFFF, most, 1)
        log.mark("hello", 0x10000, ALL_FEATURES, SECOND // 10, 1)
    return run(about, body)


@case("cmd-deadline", "clean-recovered")
def _(about="a command's deadline passes; the driver resets the controller: both stand on the time line"):
    def body(log):
        log.map(NVME, 0xD00000, 0x1000, FROM_DEVICE)
        log.submit(NVME, 5, READ, SECOND)
        log.take_nvme(5, READ, [0xD00000])
        log.sleep(1)
        log.tell("timeout", NVME)
        log.mark("command_timeout", NVME, 1, 5, 1000)
        log.tell("reset", NVME)
        log.mark("device_reset", NVME, 1)
        log.set_cc(0x460000, 0)
        log.mark("command_failed", NVME, 1, 5, 3)
        log.unmap(NVME, 0xD00000)
    return run(about, body)


@case("dma-double-map", "clean-without-ids")
def _(about="mappings without ids: two of one range at a time, one of another length, each ended once"):
    def body(log):
        for bus, length in ((0xA00000, 0x1000), (0xA00000, 0x1000), (0xA00000, 0x2000)):
            log.mark("dma_map", NVME, 0, bus, 0xFFFFFFFFFFFFFFFF, length, FROM_DEVICE)
        log.mark("dma_unmap", NVME, 0, 0xA00000, 0x2000)
        log.mark("dma_unmap", NVME, 0, 0xA00000, 0x1000)
        log.submit(NVME, 5, READ)
        log.take_nvme(5, READ, [0xA00000])
        log.complete_nvme(5)
        log.mark("dma_unmap", NVME, 0, 0xA00000, 0x1000)
        # Frames that are not known are not shared with others that are not known.
        log.mark("dma_map", NVME, 0, 0xA10000, 0xFFFFFFFFFFFFFFFF, 0x1000, FROM_DEVICE)
        log.mark("dma_map", VIRTIO, 0, 0xA20000, 0xFFFFFFFFFFFFFFFF, 0x1000, FROM_DEVICE)
        log.mark("dma_unmap", NVME, 0, 0xA10000, 0x1000)
        log.mark("dma_unmap", VIRTIO, 0, 0xA20000, 0x1000)
    return run(about, body)


@case("dma-double-map", "breaks-without-ids")
def _(about="a mapping without an id is ended twice, and one that never was"):
    def body(log):
        log.mark("dma_map", NVME, 0, 0xA00000, 0xA00000, 0x1000, FROM_DEVICE)
        log.mark("dma_unmap", NVME, 0, 0xA00000, 0x1000)
        log.expect("dma-double-map", NVME, 0xA00000, 0x1000)
        log.mark("dma_unmap", NVME, 0, 0xA00000, 0x1000)
        log.sleep(0.01)
        log.expect("dma-double-map", NVME, 0xA10000)
        log.mark("dma_unmap", NVME, 0, 0xA10000, 0x2000, pc=0xFFFFFFFF80300000)
    return run(about, body)


def profiled(about, body, features=0x244):
    """A kernel without markers whose mappings a profile tells; virtio's driver uses DMA calls where `features` has bit 33."""
    log = Log(about)
    log.lines.append("# observed in part")
    log.boot()
    log.line("paravane_profile cpu 0 pc 0xffffffff8cc4ee41 slide 0x9c00000")
    log.hello(1, 0)
    for bus in (0x10000, 0x11000, 0x12000, 0x13000):
        log.mark("dma_map", NVME, 0, bus, 0xFFFFFFFFFFFFFFFF, 0x1000, BOTH)
    log.start_nvme(markers=False)
    log.start_virtio(markers=False, features=features)
    body(log)
    return log


def profiled_read(log, bus, unmap_early=False):
    log.mark("dma_map", NVME, 0, bus, bus, 0x1000, FROM_DEVICE)
    log.take_nvme(5, READ, [bus], markers=False)
    if unmap_early:
        log.expect("dma-after-unmap", NVME, bus, 0x1000)
        log.mark("dma_unmap", NVME, 0, bus, 0x1000)
    log.complete_nvme(5, markers=False)
    if not unmap_early:
        log.mark("dma_unmap", NVME, 0, bus, 0x1000)


@case("dma-after-unmap", "clean-foreign-profile")
def _(about="a profile tells mappings of an NVMe disk; a virtio disk's driver makes none, and is not judged"):
    def body(log):
        profiled_read(log, 0xA00000)
        log.pop_virtio(READ, [(0xB00000, 16, 0), (0xB01000, 4096, 1), (0xB00010, 1, 1)])
    return profiled(about, body)


@case("dma-after-unmap", "breaks-foreign-profile")
def _(about="a kernel with a profile takes a buffer back while the disk still writes it; a virtio disk uses memory it was not given"):
    def body(log):
        profiled_read(log, 0xA00000, unmap_early=True)
        log.line("virtio_set_status vdev 0x5500c000 val 15", 500)
        log.write(VIRTIO_BAR + 0x08, 1, "virtio-pci-common-virtio-blk")
    return profiled(about, body)
