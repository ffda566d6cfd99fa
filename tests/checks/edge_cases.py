# Golden logs of what comes close to a rule's line, on either side of it: each of them was once no test's.
# SPDX-License-Identifier: MIT
from cases import case, run
from logs import *
from protect_cases import read_into
from recovery_cases import given_up, timed_out_untaken
from register_cases import COMMON, NOTIFY, device_again
from time_cases import DEAD, OBJECT, QUEUE, RESET, WAIT, busy, recovery

ENDING = "paravane_lifecycle state 'ending' detail ''"
OUTCOME = "paravane_lifecycle state 'ended' detail 'ran out of time'"


def cut_short(about, body):
    """A run that the host ends: no goodbye, so not every rule has something to judge."""
    log = Log(about)
    log.lines += ["# observed in part", "# outcome ran out of time"]
    log.begin()
    log.work()
    body(log)
    return log


# Time that QEMU took.

def held(log, begins):
    """A flush of the other disk is outstanding while the machine stands still for three seconds from `begins` on."""
    log.map(VIRTIO, 0xA10000, 0x11, BOTH)
    log.submit(VIRTIO, 5, FLUSH, SECOND)
    log.take_virtio(FLUSH, [(0xA10000, 16, 0), (0xA10010, 1, 1)])
    log.line(begins, 500)
    log.sleep(3)
    log.read(VIRTIO_BAR + 0x14, 0xF, COMMON, 1)
    log.complete_virtio(5, told="slow")
    log.unmap(VIRTIO, 0xA10000)


@case("cmd-deadline", "clean-controller-disabled")
def _(about="QEMU holds its main loop while an NVMe controller is disabled"):
    return run(about, lambda log: held(log, "pci_nvme_mmio_cfg wrote MMIO, config controller config=0x460000"))


@case("cmd-deadline", "clean-status-cleared")
def _(about="QEMU holds its main loop while another virtio device is reset"):
    return run(about, lambda log: held(log, "virtio_set_status vdev 0x5500c800 val 0"))


# wait-unbounded.

@case("wait-unbounded", "breaks-its-own-processor")
def _(about="a wait outlives its deadline on a processor that works, while another is silent"):
    def body(log):
        log.mark("wait_begin", 10, QUEUE, SECOND // 5, OBJECT)
        busy(log, 1)
        log.sleep(2)
        log.mark("wait_begin", 90, 4, 0xFFFFFFFFFFFFFFFF, cpu=1)
        log.expect("wait-unbounded")
        log.mark("wait_end", 10, 1, cpu=1)
    return run(about, body)


@case("wait-unbounded", "clean-its-own-processor")
def _(about="the host holds the processor on which a wait is to end, while another works"):
    def body(log):
        log.mark("wait_begin", 10, QUEUE, SECOND // 5, OBJECT, cpu=1)
        busy(log, 2)
        log.mark("wait_end", 10, 1, cpu=1)
    return run(about, body)


@case("wait-unbounded", "breaks-open-at-the-end")
def _(about="the host ends a guest one of whose waits is long over; another's deadline passes only after that"):
    def body(log):
        log.mark("wait_begin", 10, QUEUE, SECOND // 5, OBJECT)
        log.mark("wait_begin", 11, QUEUE, 4 * SECOND, OBJECT)
        busy(log, 3)
        log.expect("wait-unbounded")
        log.line(ENDING)
        log.sleep(5)
        log.mark("wait_begin", 90, 4, 0xFFFFFFFFFFFFFFFF)
        log.line(OUTCOME)
    return cut_short(about, body)


@case("wait-unbounded", "breaks-open-when-it-stops")
def _(about="a log ends in the middle, with a wait long over"):
    def body(log):
        log.mark("wait_begin", 10, QUEUE, SECOND // 5, OBJECT)
        busy(log, 3)
    log = cut_short(about, body)
    log.lines.insert(len(log.lines) - 1, "# expect wait-unbounded - - -")
    return log


@case("wait-unbounded", "clean-stands-still-at-the-end")
def _(about="a guest is ended while QEMU holds its main loop: nobody could have woken up"):
    def body(log):
        log.mark("wait_begin", 10, QUEUE, SECOND // 5, OBJECT)
        log.line("pci_nvme_del_sq deleting submission queue sqid=2", 500)
        log.sleep(9)
        log.line(ENDING)
        log.line(OUTCOME)
    return cut_short(about, body)


@case("wait-unbounded", "clean-begins-again")
def _(about="a guest starts again while it waits: who waited is gone"):
    def body(log):
        log.mark("wait_begin", 10, QUEUE, SECOND // 5, OBJECT)
        log.stop_nvme()
        log.stop_virtio()
        busy(log, 0.1)
        log.tail, log.head = {}, {}
        log.hello()
        log.mark("memory_protect", KERNEL, 0x200000, CODE)
        log.start_nvme()
        log.start_virtio()
        busy(log, 2)
    return run(about, body)


# dma-protected.

@case("dma-protected", "clean-reads-in-flight")
def _(about="memory that a disk is still to read becomes a page table; what a disk behind a unit does is not at that address"):
    def body(log):
        log.map(NVME, 0xB10000, 0x1000, TO_DEVICE)
        log.submit(NVME, 5, WRITE)
        log.take_nvme(5, WRITE, [0xB10000])
        log.mark("memory_protect", 0xB10000, 0x1000, TABLE)
        log.mark("memory_unprotect", 0xB10000, 0x1000)
        log.complete_nvme(5)
        log.unmap(NVME, 0xB10000)
        log.line("vtd_switch_address_space Device 00:10.0 switching address space (iommu enabled=1)", 500)
        log.map(NVME, 0xB20000, 0x1000, FROM_DEVICE, physical=0xC20000)
        log.submit(NVME, 6, READ)
        log.take_nvme(6, READ, [0xB20000])
        log.mark("memory_protect", 0xB20000, 0x1000, TABLE)
        log.mark("memory_unprotect", 0xB20000, 0x1000)
        log.complete_nvme(6)
        log.unmap(NVME, 0xB20000)
    return run(about, body)


@case("dma-protected", "clean-begun-before-hello")
def _(about="firmware has a disk read to where the kernel will lie; the kernel speaks while QEMU is about to say whose read it is"):
    log = Log(about)
    log.boot()
    log.start_nvme(markers=False)
    log.start_virtio(markers=False)
    log.element += 1
    for address, length, writes in ((0x9000, 16, 0), (KERNEL + 0x10000, 4096, 1), (0x9010, 1, 1)):
        log.line(f"address_space_map as:{MEMORY_SPACE:#x} addr {address:#x}:{length:x} write:{writes} attrs:0x0", 500)
    log.hello()
    log.mark("memory_protect", KERNEL, 0x200000, CODE)
    element = 0x5500E000 + 0x100 * log.element
    log.line(f"virtqueue_pop vq {VQ:#x} elem {element:#x} in_num 2 out_num 1", 500)
    log.line(f"virtqueue_fill vq {VQ:#x} elem {element:#x} len 1 idx 0", 500)
    log.write(NVME_BAR + 0x14, 0)
    log.tail, log.head = {}, {}
    log.start_nvme()
    log.start_virtio()
    log.work()
    log.end()
    return log


@case("dma-protected", "breaks-unit-switched-off")
def _(about="a unit that is switched off translates no more: addresses are the memory's own again"):
    def body(log):
        log.line("vtd_switch_address_space Device 00:10.0 switching address space (iommu enabled=1)", 500)
        read_into(log, KERNEL + 0x10000)
        log.line("vtd_switch_address_space Device 00:10.0 switching address space (iommu enabled=0)", 500)
        read_into(log, KERNEL + 0x10000, "dma-protected", KERNEL + 0x10000, 0x2000)
    return run(about, body)


@case("dma-protected", "clean-virtio-iommu-unmapped")
def _(about="a virtio-iommu's mapping ends; its bus address then leads to constants that may only be read"):
    def body(log):
        log.line("virtio_iommu_attach domain=1 endpoint=136", 500)
        log.line("virtio_iommu_map domain=1 virt_start=0xb00000 virt_end=0xb00fff phys_start=0xb90000 flags=3", 500)
        log.line("virtio_iommu_unmap domain=1 virt_start=0xb00000 virt_end=0xb00fff", 500)
        log.line(f"virtio_iommu_translate_out 0xb00000 -> {KERNEL:#x} for sid=136", 500)
    return run(about, body)


@case("dma-protected", "clean-declared-anew")
def _(about="a guest starts again, and declares less to be protected than before"):
    def body(log):
        log.stop_nvme()
        log.stop_virtio()
        log.tail, log.head = {}, {}
        log.hello()
        log.mark("memory_protect", KERNEL, 0x1000, CODE)
        log.start_nvme()
        log.start_virtio()
        read_into(log, KERNEL + 0x10000)
    return run(about, body)


# mmio-unmapped, mmio-width, mmio-order.

@case("mmio-unmapped", "breaks-beside-a-fault")
def _(about="the IOMMU refuses a device's access, and a controller refuses a processor's: that one is the processor's mistake"):
    def body(log):
        log.expect("iommu-fault", NVME, 0xC00000)
        log.line(f"vtd_dmar_fault sid {NVME:#x} fault 5 addr 0xc00000 write 1", 500)
        log.lines.append("Invalid write at addr 0xC00000, size 4, region '(null)', reason: rejected")
        log.sleep(0.01)
        log.expect("mmio-unmapped", None, 0x2000, 4)
        log.lines.append("Invalid write at addr 0x2000, size 4, region 'nvme', reason: rejected")
    return run(about, body)


@case("mmio-unmapped", "breaks-told-twice")
def _(about="QEMU tells an access to a hole twice: as one, and as refused; one finding"):
    def body(log):
        log.expect("mmio-unmapped", NVME, NVME_BAR + 0x800, 4)
        log.read(NVME_BAR + 0x800, 0)
        log.lines.append(f"Invalid read at addr {NVME_BAR + 0x800:#x}, size 4, region 'nvme', reason: rejected".replace("0xfebf", "0xFEBF"))
    return run(about, body)


@case("mmio-unmapped", "clean-foreign-probes")
def _(about="firmware, and a kernel without markers, look where no device may be"):
    log = Log(about)
    log.boot()
    log.lines.append("Invalid read at addr 0xFED40000, size 4, region '(null)', reason: rejected")
    log.start_nvme(markers=False)
    log.take_nvme(7, READ, [0x9000], markers=False)
    log.complete_nvme(7, markers=False)
    return log


@case("mmio-width", "breaks-doorbell-wide")
def _(about="two doorbells are written at once: 64 bits"):
    def body(log):
        log.expect("mmio-width", NVME, NVME_BAR + 0x1008, 8)
        log.write(NVME_BAR + 0x1008, log.tail[1], size=8)
    return run(about, body)


@case("mmio-width", "breaks-notification-data")
def _(about="a device with VIRTIO_F_NOTIFICATION_DATA takes notifications of 32 bits, and gets one of 16"):
    def body(log):
        log.stop_virtio()
        log.start_virtio()
        device_again(log, 0, 1, 3)
        log.read(VIRTIO_BAR + 0x14, 0, COMMON, 1)
        log.write(VIRTIO_BAR + 0x08, 1, COMMON)
        log.write(VIRTIO_BAR + 0x0C, 1 << 6 | 1, COMMON)
        log.write(VIRTIO_BAR + 0x08, 0, COMMON)
        log.write(VIRTIO_BAR + 0x0C, 0x244, COMMON)
        device_again(log, 0xB, 0xF)
        log.write(VIRTIO_BAR + 0x3000, 0, NOTIFY, 4)
        log.expect("mmio-width", VIRTIO, VIRTIO_BAR + 0x3000, 2)
        log.write(VIRTIO_BAR + 0x3000, 0, NOTIFY, 2)
    return run(about, body)


@case("mmio-width", "breaks-foreign-notification")
def _(about="a device whose features were not seen gets a notification of a byte"):
    log = Log(about)
    log.lines.append("# observed in part")
    log.boot()
    log.expect("mmio-width", VIRTIO, VIRTIO_BAR + 0x3000, 1)
    log.write(VIRTIO_BAR + 0x3000, 0, NOTIFY, 1)
    log.write(VIRTIO_BAR + 0x3000, 0, NOTIFY, 2)
    log.write(VIRTIO_BAR + 0x3000, 0, NOTIFY, 4)
    return log


@case("mmio-order", "breaks-nvme-disabled")
def _(about="a doorbell is written while the controller is disabled"):
    def body(log):
        log.stop_nvme()
        log.expect("mmio-order", NVME, NVME_BAR + 0x1000, 4)
        log.expect("mmio-doorbell", NVME, NVME_BAR + 0x1000, 4)
        log.write(NVME_BAR + 0x1000, 0)
        log.tail, log.head = {}, {}
        log.start_nvme()
    return run(about, body)


@case("mmio-order", "clean-ring-reset")
def _(about="a device with VIRTIO_F_RING_RESET has a queue set up again while it runs"):
    def body(log):
        device_again(log, 0, 1, 3)
        log.read(VIRTIO_BAR + 0x14, 0, COMMON, 1)
        log.write(VIRTIO_BAR + 0x08, 1, COMMON)
        log.write(VIRTIO_BAR + 0x0C, 1 << 8 | 1, COMMON)
        log.write(VIRTIO_BAR + 0x08, 0, COMMON)
        log.write(VIRTIO_BAR + 0x0C, 0x244, COMMON)
        device_again(log, 0xB, 0xF)
        log.write(VIRTIO_BAR + 0x18, 128, COMMON, 2)
    return run(about, body)


@case("mmio-order", "clean-foreign-left-by-firmware")
def _(about="a kernel takes a device whose status firmware left unseen: what it writes first is not judged by that"):
    log = Log(about)
    log.boot()
    for status in (0xF, 0xB):
        log.write(VIRTIO_BAR + 0x14, status, COMMON, 1)
    return log


# cmd-late.

@case("cmd-late", "clean-shared-reads")
def _(about="the buffer of a write that was given up is read by the next write too: nobody's data is harmed"):
    def body(log):
        given_up(log, 5, 0xA70000, WRITE)
        log.submit(NVME, 6, WRITE)
        log.take_nvme(6, WRITE, [0xA70000])
        log.complete_nvme(6)
        log.tell("late completion", NVME)
        log.complete_nvme(5, markers=False)
        log.unmap(NVME, 0xA70000)
    return run(about, body)


@case("cmd-late", "clean-one-command-twice-there")
def _(about="a read that was given up before its device took it names one page twice, which is still mapped"):
    def body(log):
        timed_out_untaken(log, 5, 0xA80000)
        log.fetch_nvme(5, READ, [0xA80000, 0xA80000])
        log.tell("late completion", NVME)
        log.complete_nvme(5)
        log.unmap(NVME, 0xA80000)
    return run(about, body)


# cmd-recovery.

@case("cmd-recovery", "clean-resumed")
def _(about="queues are held and serve again, or are deleted and made again; a device that was given up is taken again"):
    def body(log):
        log.mark("queue_suspend", NVME, 1)
        recovery(log, (WAIT, 1, 0.5, False))
        log.mark("queue_resume", NVME, 1)
        log.nvme(5, FLUSH, 0)
        log.mark("queue_suspend", NVME, 1)
        log.mark("queue_delete", NVME, SQ, 1)
        log.mark("queue_create", NVME, SQ, 1, 8, 0x12000)
        log.nvme(6, FLUSH, 0)
        recovery(log, (DEAD, 0, 1, False), end=1, number=2)
        log.mark("device", NVME, 1, NVME_BAR, 0x4000)
        log.nvme(7, FLUSH, 0)
    return run(about, body)


@case("cmd-recovery", "breaks-two-at-once")
def _(about="a recovery begins while another of the device is open"):
    def body(log):
        log.mark("recovery_begin", NVME, 1, 1)
        log.expect("cmd-recovery", NVME)
        recovery(log, (WAIT, 1, 0, False), number=2)
    return run(about, body)


@case("cmd-recovery", "breaks-abort-answered-late")
def _(about="an abort's answer comes long after its deadline; a wait that follows is in time"):
    def body(log):
        log.mark("recovery_begin", NVME, 1, 1)
        log.mark("recovery_step", NVME, 1, 1, SECOND // 2, 1)
        log.mark("command_abort", NVME, 1, 5)
        log.sleep(2)
        log.expect("cmd-recovery", NVME)
        log.mark("command_abort_end", NVME, 1, 5, 1)
        log.mark("recovery_end", NVME, 1, 0)
    return run(about, body)


@case("cmd-recovery", "breaks-step-left-open")
def _(about="the host ends a guest whose recovery is in a step that is long over"):
    def body(log):
        log.mark("recovery_begin", NVME, 1, 1)
        log.mark("recovery_step", NVME, 1, RESET, SECOND, 1)
        log.sleep(4)
        log.expect("cmd-recovery", NVME)
        log.line(ENDING)
        log.line(OUTCOME)
    return cut_short(about, body)


@case("cmd-recovery", "breaks-cut-off-in-a-step")
def _(about="a log ends in the middle, in a step that is long over"):
    def body(log):
        log.mark("recovery_begin", NVME, 1, 1)
        log.mark("recovery_step", NVME, 1, RESET, SECOND, 1)
        log.sleep(4)
        log.mark("wait_begin", 90, 4, 0xFFFFFFFFFFFFFFFF)
    log = cut_short(about, body)
    log.lines.insert(len(log.lines) - 1, "# expect cmd-recovery 00:10.0 - -")
    return log


@case("cmd-recovery", "clean-stands-still-at-the-end")
def _(about="a guest is ended while QEMU holds its main loop, in a recovery's step"):
    def body(log):
        log.mark("recovery_begin", NVME, 1, 1)
        log.mark("recovery_step", NVME, 1, RESET, SECOND, 1)
        log.line("pci_nvme_del_sq deleting submission queue sqid=2", 500)
        log.sleep(9)
        log.line(ENDING)
        log.line(OUTCOME)
    return cut_short(about, body)


@case("cmd-recovery", "clean-begins-again")
def _(about="a guest starts again in the middle of a recovery, with a queue held and a device given up"):
    def body(log):
        log.mark("recovery_begin", NVME, 1, 1)
        log.mark("queue_suspend", NVME, 1)
        log.mark("device_dead", VIRTIO, 5)
        log.stop_nvme()
        log.stop_virtio()
        log.tail, log.head = {}, {}
        log.hello()
        log.mark("memory_protect", KERNEL, 0x200000, CODE)
        log.start_nvme()
        log.start_virtio()
        log.nvme(5, FLUSH, 0)
        log.virtio(5, FLUSH, 0x280000)
        recovery(log, (WAIT, 1, 0, False))
    return run(about, body)
