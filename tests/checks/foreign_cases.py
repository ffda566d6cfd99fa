# Golden logs of what other kernels do: refusals after a driver gave up, ids and devices nobody expects.
# SPDX-License-Identifier: MIT
from cases import case, run
from logs import *


@case("cmd-lost", "clean-refused")
def _(about="a command times out, its driver forgets it, and refuses the completion that comes late: noticed"):
    def body(log):
        log.submit(NVME, 5, FLUSH)
        log.take_nvme(5, FLUSH, [])
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


def translated(log, device, page):
    log.line(f"vtd_iotlb_page_update IOTLB page update sid {device:#x} iova {page:#x} slpte {page | 3:#x} domain 0x1", 500)
    log.line(f"vtd_dmar_translate dev {device >> 8:02x}:{device >> 3 & 31:02x}.{device & 7:02x} iova {page:#x} -> gpa {page:#x} mask 0xfff", 500)


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
            log.line(f"Invalid write at addr {0xC00000 + 4 * piece:#x}, size 4, region '(null)', reason: rejected", 500)
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
