# Golden logs of what the probe `tlb` writes: translations used, kept and given back, and tables.
# SPDX-License-Identifier: MIT
from cases import case, run
from logs import *

PAGE, FRAME = 0x7F0000001000, 0x1234000
OLD, NEW = FRAME | 0x8000000000000067, 0


def change(log, number=1, old=OLD, new=NEW, level=1):
    """A store took a translation away: told before the first line that names it."""
    log.line(f"paravane_table_change cpu 0 pc {KERNEL + 0x40:#x} change {number} address {PAGE:#x} old_entry {old:#x} "
             f"new_entry {new:#x} level {level} age 2500000")


def totals(log, changes=3, shootdowns=2):
    log.line(f"paravane_translation changes {changes} taken {2 * changes} checked 1 shootdowns {shootdowns} entries 40 skipped 0")


def translation(about, body):
    def whole(log):
        totals(log, 0, 0)
        log.mark("frames_release", 0x5000, 0x1000)
        body(log)
        log.line("paravane_tlb_flushes cpu 2 pages 300 whole 2 needless 1")
        totals(log)
    return run(about, whole)


def shootdown(log):
    log.mark("shootdown_begin", 7, 0, PAGE, 0x1000)
    log.mark("shootdown_end", 7, 0)


@case("tlb-stale-use", "breaks-observed")
def _(about="a processor reads through a translation that was taken away, and QEMU shows that it did"):
    def body(log):
        change(log)
        log.expect("tlb-stale-use", None, PAGE + 8)
        log.line(f"paravane_tlb_stale_use cpu 1 pc {KERNEL:#x} change 1 address {PAGE + 8:#x} used {FRAME + 8:#x} access 6")
    return translation(about, body)


@case("tlb-stale-use", "breaks-allowed")
def _(about="a processor writes where it may still use the old translation; QEMU had forgotten it"):
    def body(log):
        change(log, new=0x2222067)
        log.expect("tlb-stale-use", None, PAGE)
        log.line(f"paravane_tlb_stale_use cpu 0 pc {KERNEL:#x} change 1 address {PAGE:#x} used 0x2222000 access 5")
    return translation(about, body)


@case("tlb-missed-shootdown", "breaks-page")
def _(about="a shootdown is over, and a processor has not forgotten"):
    def body(log):
        log.mark("shootdown_begin", 7, 0, PAGE, 0x1000)
        log.mark("shootdown_end", 7, 0)
        change(log)
        log.expect("tlb-missed-shootdown", None, PAGE)
        log.line(f"paravane_tlb_missed cpu 0 pc {KERNEL:#x} change 1 address {PAGE:#x} holder 3 shootdown 0x7 structure 0 use 0x0")
    return translation(about, body)


@case("tlb-missed-shootdown", "clean-done")
def _(about="shootdowns that reach everybody, and frames given back after them"):
    def body(log):
        shootdown(log)
        log.mark("frames_release", FRAME, 0x1000)
        shootdown(log)
    return translation(about, body)


@case("tlb-freed-while-cached", "breaks-frame")
def _(about="a frame is given back before the last processor forgot it"):
    def body(log):
        log.mark("frames_release", FRAME, 0x1000)
        change(log)
        log.expect("tlb-freed-while-cached", None, FRAME)
        log.line(f"paravane_tlb_freed cpu 0 pc {KERNEL:#x} change 1 address {PAGE:#x} holder 1 physical {FRAME:#x} structure 0 use 0x0")
    return translation(about, body)


@case("tlb-freed-while-cached", "breaks-table")
def _(about="a table is given back while a processor may walk it"):
    def body(log):
        log.mark("memory_protect", FRAME, 0x1000, TABLE)
        log.mark("memory_unprotect", FRAME, 0x1000)
        change(log, old=FRAME | 0x67, level=2)
        log.expect("tlb-freed-while-cached", None, FRAME)
        log.line(f"paravane_tlb_freed cpu 0 pc {KERNEL:#x} change 1 address {PAGE:#x} holder 1 physical {FRAME:#x} structure 1 use 0x0")
    return translation(about, body)


def told(log, frames=0, count=0):
    """What a profile told so far: no marker says it."""
    log.line(f"paravane_translation_profile frames {frames} shootdowns {count} held 3")


@case("tlb-freed-while-cached", "breaks-told-by-profile")
def _(about="a kernel gives a frame back, and a processor runs a program with a translation to it"):
    def body(log):
        told(log)
        change(log)
        log.expect("tlb-freed-while-cached", None, FRAME)
        log.line(f"paravane_tlb_freed cpu 0 pc {KERNEL:#x} change 1 address {PAGE:#x} holder 1 physical {FRAME:#x} structure 0 use 0x401000")
        told(log, 300, 20)
    return translation(about, body)


@case("tlb-missed-shootdown", "breaks-told-by-profile")
def _(about="a shootdown of the kernel's is over, and a processor that it left out runs a program"):
    def body(log):
        told(log)
        change(log)
        log.expect("tlb-missed-shootdown", None, PAGE)
        log.line(f"paravane_tlb_missed cpu 0 pc {KERNEL:#x} change 1 address {PAGE:#x} holder 3 shootdown 0x0 structure 0 use 0x401000")
        told(log, 300, 20)
    return translation(about, body)


@case("tlb-global-kept", "breaks-reload")
def _(about="a processor answers a shootdown of a global page by writing CR3 (ledger C17)"):
    def body(log):
        shootdown(log)
        change(log, old=OLD | 0x100)
        log.expect("tlb-global-kept", None, PAGE)
        log.line(f"paravane_tlb_global_kept cpu 1 pc {KERNEL + 0x80:#x} change 1 address {PAGE:#x} shootdown 0x7")
    return translation(about, body)


@case("tlb-overflush", "breaks-needless")
def _(about="a processor forgets everything for single pages, all the time: advice"):
    def body(log):
        log.line("paravane_tlb_flushes cpu 0 pages 20 whole 900 needless 890")
        log.expect("tlb-overflush")
        log.line("paravane_tlb_flushes cpu 1 pages 20 whole 4000 needless 3900")
    return translation(about, body)


def fault(log, number, rule, level=1, other=0):
    log.expect(rule, None, PAGE)
    log.line(f"paravane_table_entry cpu 0 pc {KERNEL:#x} fault {number} address {PAGE:#x} entry {FRAME | 0x67:#x} level {level} "
             f"other {other:#x}")


@case("pt-write-exec", "breaks-page")
def _(about="a page is writable and executable"):
    return translation(about, lambda log: fault(log, 1, "pt-write-exec"))


@case("pt-write-exec", "breaks-alias")
def _(about="code is writable through another page"):
    return translation(about, lambda log: fault(log, 2, "pt-write-exec", other=0x100000))


@case("pt-user-reaches-kernel", "breaks-table")
def _(about="a page for programs lies over a page table"):
    return translation(about, lambda log: fault(log, 3, "pt-user-reaches-kernel", other=FRAME))


@case("pt-user-reaches-kernel", "breaks-code")
def _(about="a page for programs lies over the kernel's code"):
    return translation(about, lambda log: fault(log, 6, "pt-user-reaches-kernel", other=CODE))


@case("pt-reserved-bits", "breaks-bits")
def _(about="reserved bits are set"):
    return translation(about, lambda log: fault(log, 4, "pt-reserved-bits", level=2, other=0x2000))


@case("pt-reserved-bits", "breaks-levels")
def _(about="a table is used at two levels"):
    return translation(about, lambda log: fault(log, 5, "pt-reserved-bits", level=3, other=1))
