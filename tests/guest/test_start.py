# The kernel's start with one allocation failing, then with another one: it says why and ends, or goes on without.
# SPDX-License-Identifier: MIT
#
# usage: test_start.py KERNEL every|some
import argparse
import concurrent.futures
import os
import re
import sys
import tempfile

import run_guest

CPUS = 3
# What ended threads keep until their CPU switches again, as in failing.cpp: a few frames, and no more with time.
SLACK = 4 + 4 * CPUS
WHY = re.compile(r"out of memory|no memory|not enough memory", re.I)
STARTED = re.compile(r"start: (\d+) allocations left, (\d+) CPUs, (\d+) objects, (\d+) frames")
PANIC = re.compile(r"panic: .*")


# More than a start makes: none fails.
NONE = 1_000_000


def boot(kernel, refused, cpus=CPUS):
    """The console of a start whose allocation of that number fails."""
    options = argparse.Namespace(kernel=kernel, append=f"test=starts_without test_refuse={refused}", memory="64M", deadline=100, type=None,
                                 stuck_console=False, disk=[], plugin=None, arguments=["-smp", str(cpus)])
    with tempfile.TemporaryDirectory(prefix="paravane-start-") as folder:
        output, ended = run_guest.boot(options, folder)
    return output.decode("latin-1").replace("\r", "") if ended else None


def usual_start(kernel, cpus):
    """What a start of so many CPUs leaves when nothing fails."""
    console = boot(kernel, NONE, cpus)
    found = STARTED.search(console or "")
    if not found or int(found[2]) != cpus:
        raise SystemExit(f"FAILED: the usual start of {cpus} CPUs:\n{console}")
    return {"allocations": NONE - int(found[1]), "objects": int(found[3]), "frames": int(found[4])}


def judge(console, usual_of):
    """How a start without one allocation ended, and what is wrong about that. A CPU that did not come leaves nothing
    behind: it is held against a start of a machine that has one less."""
    if console is None:
        return "hung", ["it did not end"]
    lines = console.splitlines()
    status = re.fullmatch(r"paravane: powering off, status (\d+)", lines[-1] if lines else "")
    why = [number for number, line in enumerate(lines) if WHY.search(line)]
    panics = [number for number, line in enumerate(lines) if PANIC.search(line)]
    if not status:
        return "lost", ["its last line says no status"]
    if panics and not why:
        return "fatal", [f"{lines[panics[0]]}: nothing says that memory was missing"]
    if panics:
        # At once: nothing but the reason itself stands between what went wrong and the end.
        return "fatal", [] if panics[0] - why[0] <= 1 and status[1] == "255" else [f"{lines[panics[0]]}: after line {why[0]}, status {status[1]}"]
    found = STARTED.search(console)
    if not found or status[1] != "0":
        return "broken", [f"status {status[1]}"]
    cpus, objects, frames = (int(found[field]) for field in (2, 3, 4))
    if found[1] != "0":
        return "whole", [] if cpus == CPUS else ["a CPU is missing"]
    wrong = []
    # Some are made up for, such as a stock's that is filled when there is more.
    if cpus < CPUS and not why:
        wrong.append("nothing says why")
    usual = usual_of[cpus]
    if objects > usual["objects"] or frames + SLACK < usual["frames"]:
        wrong.append(f"{objects} objects, {frames} frames free; without a failure {usual['objects']} and {usual['frames']}")
    return f"{cpus} CPUs", wrong


def main():
    kernel, which = sys.argv[1:]
    usual_of = {cpus: usual_start(kernel, cpus) for cpus in range(1, CPUS + 1)}
    count = usual_of[CPUS]["allocations"]
    for cpus, usual in usual_of.items():
        print(f"{cpus} CPUs: {usual}")
    numbers = range(1, count + 1) if which == "every" else sorted({1, count, *range(2, count, count // 12)})
    ends = {}
    failed = 0
    with concurrent.futures.ThreadPoolExecutor(min(2, os.cpu_count())) as pool:
        for number, console in zip(numbers, pool.map(lambda n: boot(kernel, n), numbers)):
            end, wrong = judge(console, usual_of)
            ends[end] = ends.get(end, 0) + 1
            for line in wrong:
                failed += 1
                print(f"FAILED: allocation {number} of {count}: {end}: {line}")
            if wrong:
                print((console or "")[-1500:])
    print(f"{count} allocations, {len(numbers)} of them failed: {ends}")
    # From one start to the next they differ by one or two: what CPUs do at once.
    if ends.get("whole", 0) > 2:
        failed += 1
        print("FAILED: in these no allocation failed")
    # A machine that only ever ends, or never does, is not asked what this is about.
    if "fatal" not in ends or not any(end in ends for end in (f"{n} CPUs" for n in range(1, CPUS))):
        failed += 1
        print("FAILED: not both ways were seen")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
