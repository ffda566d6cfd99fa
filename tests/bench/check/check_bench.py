#!/usr/bin/env python3
# What watching costs: `paravane check` of the exercise against the same guest unwatched, `paravane run`.
# SPDX-License-Identifier: MIT
#
# Both sides in turn; processor time of the command with all its children, and wall time. Prints the medians and the
# ratio pair by pair; the floor is the unwatched side. The goal is a ratio of 1.5 at most. Judges nothing but that both
# sides did their work: a faster run whose check did not pass is no result.
import os
import statistics
import subprocess
import sys
import tempfile
import time

PAIRS = int(os.environ.get("PAIRS", "7"))


def measure(command, folder):
    began = time.monotonic()
    process = subprocess.Popen(command, cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        sys.exit(f"{' '.join(command)} ended with {process.returncode}: no result")
    return usage.ru_utime + usage.ru_stime, time.monotonic() - began


def main():
    paravane = sys.argv[1]
    with tempfile.TemporaryDirectory() as folder:
        measure([paravane, "run"], folder)  # libvirt probes QEMU once
        pairs = [(measure([paravane, "run"], folder), measure([paravane, "check", "-q", "-o", "t.db"], folder))
                 for _ in range(PAIRS)]
    for index, what in enumerate(("processor", "wall")):
        floor = statistics.median(run[index] for run, _ in pairs)
        watched = statistics.median(check[index] for _, check in pairs)
        ratios = sorted(check[index] / run[index] for run, check in pairs)
        print(f"{what:9}  floor (run) {floor:.2f} s  check {watched:.2f} s  "
              f"ratio {statistics.median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})")


main()
