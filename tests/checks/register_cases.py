# Golden logs of how registers are used: with which width, and in which order.
# SPDX-License-Identifier: MIT
from cases import case, run
from logs import *

COMMON = "virtio-pci-common-virtio-blk"
NOTIFY = "virtio-pci-notify-virtio-blk"


@case("mmio-width", "breaks-nvme")
def _(about="a byte of CSTS, half of AQA, both of VS and INTMS at once, a doorbell of 16 bits"):
    def body(log):
        for offset, size in ((0x1D, 1), (0x24, 2), (0x08, 8)):
            log.expect("mmio-width", NVME, NVME_BAR + offset, size)
            log.read(NVME_BAR + offset, 0, size=size)
            log.sleep(0.01)
        log.submit(NVME, 5, FLUSH)
        log.tail[1] = (log.tail[1] + 1) % 8
        log.expect("mmio-width", NVME, NVME_BAR + 0x1008, 2)
        log.write(NVME_BAR + 0x1008, log.tail[1], size=2)
        log.fetch_nvme(5, FLUSH, [])
        log.complete_nvme(5)
    return run(about, body)


def access_after_a_pull(log, disk, wrong):
    log.line(f"paravane_lifecycle state 'step' detail 'pull {disk}, after marker_command_complete number 60'")
    log.sleep(0.01)
    if wrong:
        log.expect("mmio-unmapped", None, NVME_BAR + 0x1c, 4)
    log.lines.append(f"Invalid read at addr 0x{NVME_BAR + 0x1c:X}, size 4, region '(null)', reason: rejected")


@case("mmio-unmapped", "breaks-another-was-pulled")
def _(about="a disk refuses an access after the other one was pulled out"):
    def body(log):
        access_after_a_pull(log, "disk1", wrong=True)
    return run(about, body)


@case("mmio-unmapped", "clean-pulled")
def _(about="a fault plan pulls a disk out, and its driver looks where its registers were"):
    def body(log):
        access_after_a_pull(log, "disk0", wrong=False)
    return run(about, body)


@case("mmio-width", "breaks-virtio")
def _(about="device_status with its neighbour, half of a feature word, a ring address of 16 bits, a notification of a byte"):
    def body(log):
        for offset, size in ((0x14, 2), (0x04, 2), (0x22, 2), (0x20, 8)):
            log.expect("mmio-width", VIRTIO, VIRTIO_BAR + offset, size)
            log.read(VIRTIO_BAR + offset, 0, COMMON, size)
            log.sleep(0.01)
        log.expect("mmio-width", VIRTIO, VIRTIO_BAR + 0x3000, 1)
        log.write(VIRTIO_BAR + 0x3000, 0, NOTIFY, 1)
        log.expect("mmio-width", VIRTIO, VIRTIO_BAR + 0x3000, 4)
        log.write(VIRTIO_BAR + 0x3000, 0, NOTIFY, 4)
        log.expect("mmio-width", VIRTIO, VIRTIO_BAR + 0x1000, 2)
        log.read(VIRTIO_BAR + 0x1000, 0, "virtio-pci-isr-virtio-blk", 2)
    return run(about, body)


@case("mmio-width", "breaks-refused")
def _(about="QEMU refuses a doorbell off its alignment, and a byte of an MSI-X table; what it refuses elsewhere is not ours"):
    def body(log):
        log.expect("mmio-width", None, 0x1002, 4)
        log.lines.append("Invalid write at addr 0x1002, size 4, region 'nvme', reason: unaligned")
        log.line("unrelated")
        log.expect("mmio-width", None, 0x0, 1)
        log.lines.append("Invalid read at addr 0x0, size 1, region 'msix-table', reason: invalid size (min:4 max:8)")
    return run(about, body)


@case("mmio-width", "clean-halves")
def _(about="64-bit registers in one access and in two, as NVMe allows; virtio's 64-bit fields in two halves"):
    def body(log):
        log.read(NVME_BAR, 0, size=8)
        log.read(NVME_BAR, 0)
        log.read(NVME_BAR + 4, 0)
        log.read(NVME_BAR + 0x2C, 0)
        log.read(NVME_BAR + 0x30, 0, size=8)
        for offset in (0x20, 0x24, 0x28, 0x2C):
            log.read(VIRTIO_BAR + offset, 0, COMMON)
        log.read(VIRTIO_BAR + 0x1000, 0, "virtio-pci-isr-virtio-blk", 1)
        log.write(VIRTIO_BAR + 0x3000, 0, NOTIFY, 2)
    return run(about, body)


def device_again(log, *statuses):
    for status in statuses:
        log.write(VIRTIO_BAR + 0x14, status, COMMON, 1)
        log.line(f"virtio_set_status vdev {VDEV:#x} val {status}")


@case("mmio-order", "breaks-nvme-setup")
def _(about="the admin queues' registers are written while the controller is enabled; it is enabled again without waiting"):
    def body(log):
        log.expect("mmio-order", NVME, NVME_BAR + 0x24, 4)
        log.write(NVME_BAR + 0x24, 0x70007)
        log.stop_nvme()
        log.tail, log.head = {}, {}
        log.set_cc(0x460001, 1)
        log.write(NVME_BAR + 0x14, 0x460000)
        log.expect("mmio-order", NVME, NVME_BAR + 0x14, 4)
        log.write(NVME_BAR + 0x14, 0x460001)
        log.set_cc(0x460000, 0)
        log.start_nvme()
    return run(about, body)


@case("mmio-order", "breaks-nvme-not-ready")
def _(about="a doorbell is written before the controller was seen to be ready"):
    def body(log):
        log.stop_nvme()
        log.set_cc(0x460001, 0)
        log.expect("mmio-order", NVME, NVME_BAR + 0x1000, 4)
        log.write(NVME_BAR + 0x1000, 0)
        log.read(NVME_BAR + 0x1C, 1)
        log.write(NVME_BAR + 0x1000, 0)
        log.set_cc(0x460000, 0)
        log.tail, log.head = {}, {}
        log.start_nvme()
    return run(about, body)


@case("mmio-order", "breaks-virtio")
def _(about="a queue and features are set up while the device runs; bits of the status are taken back; a notification comes early"):
    def body(log):
        log.expect("mmio-order", VIRTIO, VIRTIO_BAR + 0x0C, 4)
        log.write(VIRTIO_BAR + 0x0C, 0x244, COMMON)
        log.expect("mmio-order", VIRTIO, VIRTIO_BAR + 0x18, 2)
        log.write(VIRTIO_BAR + 0x18, 128, COMMON, 2)
        log.expect("mmio-order", VIRTIO, VIRTIO_BAR + 0x14, 1)
        log.write(VIRTIO_BAR + 0x14, 0xB, COMMON, 1)
        log.line(f"virtio_set_status vdev {VDEV:#x} val 11")
        log.expect("mmio-order", VIRTIO)
        log.mark("doorbell", VIRTIO, SPLIT, 0, log.element)
        device_again(log, 0xF, 0)
        log.read(VIRTIO_BAR + 0x14, 0, COMMON, 1)
        device_again(log, 1, 3)
        log.expect("mmio-order", VIRTIO, VIRTIO_BAR + 0x14, 1)
        log.write(VIRTIO_BAR + 0x14, 7, COMMON, 1)
        device_again(log, 0xF)
    return run(about, body)


@case("mmio-order", "clean-again")
def _(about="both devices are reset and set up again; BARs are mapped anew"):
    def body(log):
        log.stop_nvme()
        log.stop_virtio()
        log.tail, log.head = {}, {}
        log.start_nvme()
        log.start_virtio()
        log.line("pci_update_mappings_del nvme 00:10.0 0,0xfebf0000+0x4000")
        log.line("pci_update_mappings_add nvme 00:10.0 0,0xfebf0000+0x4000")
        log.set_cc(0, 0)
        log.write(NVME_BAR + 0x24, 0x70007)
        log.set_cc(0x460001, 1)
    return run(about, body)
