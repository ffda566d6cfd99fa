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
