# Golden logs of memory that no device may write.
# SPDX-License-Identifier: MIT
from cases import case, run
from foreign_cases import translated
from logs import *

RULE = "dma-protected"


def read_into(log, bus, rule=None, address=None, length=None):
    """An NVMe read of two pages, mapped for it; the first access breaks `rule`."""
    log.map(NVME, bus, 0x2000, FROM_DEVICE)
    log.submit(NVME, 5, READ)
    log.ring(1)
    if rule:
        log.fetch_breaking(rule, address, length, 5, READ, [bus, bus + 0x1000])
    else:
        log.fetch_nvme(5, READ, [bus, bus + 0x1000])
    log.complete_nvme(5)
    log.unmap(NVME, bus)


@case(RULE, "breaks-code")
def _(about="a disk reads into the kernel's code; into the end of a page that is private; and after that is over"):
    def body(log):
        read_into(log, KERNEL + 0x10000, RULE, KERNEL + 0x10000, 0x2000)
        log.mark("memory_protect", 0xB00800, 0x100, PRIVATE)
        read_into(log, 0xB00000, RULE, 0xB00800, 0x100)
        log.mark("memory_unprotect", 0xB00800, 0x100)
        read_into(log, 0xB00000)
    return run(about, body)


@case(RULE, "breaks-in-flight")
def _(about="memory that a disk is still to write becomes a page table"):
    def body(log):
        log.map(VIRTIO, 0xB10000, 0x11, BOTH)
        log.map(VIRTIO, 0xB20000, 0x2000, FROM_DEVICE)
        log.submit(VIRTIO, 5, READ)
        log.take_virtio(READ, [(0xB10000, 16, 0), (0xB20000, 0x2000, 1), (0xB10010, 1, 1)])
        log.expect(RULE, VIRTIO, 0xB21000, 0x1000)
        log.mark("memory_protect", 0xB21000, 0x1000, TABLE)
        log.mark("memory_unprotect", 0xB21000, 0x1000)
        log.complete_virtio(5)
        log.unmap(VIRTIO, 0xB10000)
        log.unmap(VIRTIO, 0xB20000)
    return run(about, body)


@case(RULE, "breaks-vtd")
def _(about="VT-d lets a disk write a page table, by an entry it walked and by one it kept since before there was a table"):
    def body(log):
        translated(log, NVME, 0xB00000, KERNEL + 0x400000, rule=RULE)
        translated(log, NVME, 0xB10000, 0xB90000)
        log.mark("memory_protect", 0xB90000, 0x1000, PRIVATE)
        log.expect(RULE, NVME, 0xB10000, 4096)
        log.line("vtd_dmar_translate dev 00:10.00 iova 0xb10000 -> gpa 0xb90000 mask 0xfff", 500)
    return run(about, body)


@case(RULE, "breaks-virtio-iommu")
def _(about="a virtio-iommu lets a disk write the kernel's constants, where it may only read a page before"):
    def body(log):
        log.line("virtio_iommu_attach domain=1 endpoint=136", 500)
        log.line(f"virtio_iommu_map domain=1 virt_start=0xb00000 virt_end=0xb00fff phys_start=0x{KERNEL:x} flags=1", 500)
        log.line(f"virtio_iommu_translate_out 0xb00000 -> 0x{KERNEL:x} for sid=136", 500)
        log.line(f"virtio_iommu_map domain=1 virt_start=0xb01000 virt_end=0xb01fff phys_start=0x{KERNEL + 0x1000:x} flags=3", 500)
        log.expect(RULE, VIRTIO, 0xB01000, 4096)
        log.line(f"virtio_iommu_translate_out 0xb01000 -> 0x{KERNEL + 0x1000:x} for sid=136", 500)
    return run(about, body)


@case(RULE, "clean-read-only")
def _(about="a disk writes its constants out; bus addresses behind VT-d only look like the kernel's; VT-d lets nobody write its code"):
    def body(log):
        log.nvme(5, WRITE, KERNEL + 0x10000)
        translated(log, NVME, 0xB00000, KERNEL, rights=1)
        log.line("vtd_switch_address_space Device 00:10.0 switching address space (iommu enabled=1)", 500)
        read_into(log, KERNEL + 0x10000)
        translated(log, NVME, KERNEL + 0x10000, 0xB90000)
    return run(about, body)
