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
