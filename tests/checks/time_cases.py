# Golden logs of waits and of recoveries' steps.
# SPDX-License-Identifier: MIT
from cases import case, run
from logs import *

QUEUE, MEMORY, IDLE = 2, 3, 4
ABORT, WAIT, RESET, DEAD = 1, 2, 4, 5
OBJECT = 0xFFFF800000002000


def busy(log, seconds):
    """The processor does something all the time."""
    for _ in range(int(seconds * 10)):
        log.sleep(0.1)
        log.mark("wait_begin", 90, IDLE, 0xFFFFFFFFFFFFFFFF)


@case("wait-unbounded", "breaks-late")
def _(about="a thread and a poll of memory wait for longer than they said, on a processor that works meanwhile"):
    def body(log):
        for wait, kind in ((10, QUEUE), (11, MEMORY)):
            log.mark("wait_begin", wait, kind, SECOND // 5, OBJECT, pc=0xFFFFFFFF80200000 + wait)
            busy(log, 1)
            log.expect("wait-unbounded")
            log.mark("wait_end", wait, 1)
    return run(about, body)


@case("wait-unbounded", "breaks-asleep")
def _(about="a thread sleeps four seconds beyond its deadline, longer than any host holds a processor; another never wakes"):
    def body(log):
        log.mark("wait_begin", 10, QUEUE, SECOND, OBJECT)
        log.sleep(5)
        log.expect("wait-unbounded")
        log.mark("wait_end", 10, 1)
        log.mark("wait_begin", 11, QUEUE, SECOND, OBJECT, pc=0xFFFFFFFF80200000)
        busy(log, 2)
    log = run(about, body)
    log.lines.insert(len(log.lines) - 1, "# expect wait-unbounded - - -")  # goodbye
    return log


@case("wait-unbounded", "breaks-none")
def _(about="two waits without a deadline; one for work needs none"):
    def body(log):
        log.mark("wait_begin", 10, IDLE, 0xFFFFFFFFFFFFFFFF, OBJECT)
        for wait, kind in ((11, QUEUE), (12, MEMORY)):
            log.expect("wait-unbounded")
            log.mark("wait_begin", wait, kind, 0xFFFFFFFFFFFFFFFF, OBJECT, pc=0xFFFFFFFF80200000 + wait)
    return run(about, body)


@case("wait-unbounded", "clean-held")
def _(about="QEMU holds its main loop while it deletes a queue, and the host a processor: waits outlive their deadlines meanwhile; "
            "one is open at the end"):
    def body(log):
        log.mark("wait_begin", 10, QUEUE, SECOND // 2, OBJECT)
        log.line("pci_nvme_del_sq deleting submission queue sqid=2", 500)
        log.sleep(5)
        log.read(NVME_BAR + 0x1C, 1)
        busy(log, 0.4)
        log.mark("wait_end", 10, 0)
        log.mark("wait_begin", 11, QUEUE, SECOND // 4, OBJECT)
        busy(log, 0.2)
        log.sleep(2)
        log.mark("wait_end", 11, 1)
        log.mark("wait_begin", 12, QUEUE, 2 * SECOND, OBJECT)
    return run(about, body)


def recovery(log, *steps, end=0, number=1):
    """`steps` are (step, its deadline in seconds, seconds it takes, whether that is too long)."""
    log.mark("recovery_begin", NVME, number, 1)
    late = False
    for step, deadline, seconds, breaks in steps:
        if late:
            log.expect("cmd-recovery", NVME)
        log.mark("recovery_step", NVME, number, step, int(deadline * SECOND))
        log.sleep(seconds)
        late = breaks
    if end is None:
        return
    if end:
        log.mark("device_dead", NVME, 5)
    if late:
        log.expect("cmd-recovery", NVME)
    log.mark("recovery_end", NVME, number, end)


@case("cmd-recovery", "breaks-step")
def _(about="steps of two recoveries outlast their deadlines: in the middle, and at the end"):
    def body(log):
        recovery(log, (WAIT, 1, 2, True), (RESET, 5, 1, False))
        recovery(log, (RESET, 1, 2, True), number=2)
    return run(about, body)


@case("cmd-recovery", "breaks-held")
def _(about="a command is submitted to a queue that a recovery holds, and one to a device that was given up"):
    def body(log):
        log.mark("queue_suspend", NVME, 1)
        log.expect("cmd-recovery", NVME)
        log.submit(NVME, 5, FLUSH)
        log.take_nvme(5, FLUSH, [])
        log.complete_nvme(5)
        log.mark("queue_resume", NVME, 1)
        recovery(log, (DEAD, 0, 1, False), end=1)
        log.expect("cmd-recovery", NVME)
        log.submit(NVME, 6, FLUSH)
        log.take_nvme(6, FLUSH, [])
        log.complete_nvme(6)
    return run(about, body)


@case("cmd-recovery", "breaks-open")
def _(about="a recovery never ends; the one before it said that it gave the device up, and did not"):
    def body(log):
        log.mark("recovery_begin", NVME, 1, 1)
        log.expect("cmd-recovery", NVME)
        log.mark("recovery_end", NVME, 1, 1)
        recovery(log, (WAIT, 1, 0, False), number=2, end=None)
    log = run(about, body)
    log.lines.insert(len(log.lines) - 1, "# expect cmd-recovery 00:10.0 - -")
    return log


@case("cmd-recovery", "clean-ladder")
def _(about="an abort is answered and a wait goes on; QEMU holds its main loop during a reset; then the device is given up"):
    def body(log):
        log.mark("recovery_begin", NVME, 1, 1)
        log.mark("recovery_step", NVME, 1, WAIT, 3 * SECOND, 1)
        log.mark("recovery_step", NVME, 1, ABORT, SECOND // 2, 1)
        log.mark("command_abort", NVME, 1, 5)
        log.mark("command_abort_end", NVME, 1, 5, 1)
        log.sleep(2)
        log.mark("recovery_step", NVME, 1, RESET, SECOND)
        log.line("pci_nvme_del_sq deleting submission queue sqid=2", 500)
        log.sleep(6)
        log.read(NVME_BAR + 0x1C, 1)
        log.mark("recovery_end", NVME, 1, 0)
        recovery(log, (RESET, 5, 1, False), (DEAD, 0, 4, False), number=2, end=1)
    return run(about, body)
