#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Runs test programs on this machine's Linux, then on our kernel, and compares what they print.

usage: run.py --kernel ELF --driver PROGRAM [--smp N]... [--memory M] [--print] PROGRAM...

The driver runs the programs one after the other and tells how each ended; it is the guest's first program. Lines of
the kernel's own log are left out.
"""
import argparse
import contextlib
import difflib
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import threading

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))

import qemu  # noqa: E402

KERNEL_LINE = re.compile(r"^\[ *\d+\.\d{6}\] |^paravane: ")


def newc(name, mode, data=b"", number=0):
    """One entry of an initramfs (cpio's newc format)."""
    fields = (number, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name) + 1, 0)
    head = b"070701" + b"".join(b"%08x" % field for field in fields) + name.encode() + b"\0"
    return head + b"\0" * (-len(head) % 4) + data + b"\0" * (-len(data) % 4)


def archive(driver, programs):
    out = newc("tests", 0o40755)
    files = [(driver, "init")] + [(p, "tests/" + os.path.basename(p)) for p in programs]
    for number, (source, name) in enumerate(files, 1):
        with open(source, "rb") as file:
            out += newc(name, 0o100755, file.read(), number)
    return out + newc("TRAILER!!!", 0)


def begin():
    """As our own kernel begins its first program, however nice whoever runs the tests is."""
    qemu.die_with_parent()
    with contextlib.suppress(PermissionError):
        os.setpriority(os.PRIO_PROCESS, 0, 0)


def on_linux(driver, programs, deadline):
    done = subprocess.run([driver] + programs, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          preexec_fn=begin, timeout=deadline, check=True)
    return done.stdout.decode("latin-1").splitlines()


def on_paravane(options, smp, more=(), beside=None):
    """What the console said, and whether the guest ended in time. `beside`: called with the console's file in a thread."""
    with tempfile.TemporaryDirectory(prefix="pv-linux-") as folder:
        initrd, console = os.path.join(folder, "initrd"), os.path.join(folder, "console")
        with open(initrd, "wb") as file:
            file.write(archive(options.driver, options.programs))
        names = " ".join("/tests/" + os.path.basename(p) for p in options.programs)
        process = qemu.start(["-m", options.memory, "-smp", str(smp), "-kernel", options.kernel, "-initrd", initrd, "-append",
                              f"{options.append} -- {names}", "-serial", f"file:{console}", *more])
        if beside is not None:
            threading.Thread(target=beside, args=(console,), daemon=True).start()
        ended = qemu.ended_within(process, options.deadline)
        with open(console, encoding="latin-1") as file:
            return file.read().replace("\r", "").splitlines(), ended


def main():
    parser = argparse.ArgumentParser(allow_abbrev=False)
    parser.add_argument("--kernel", required=True)
    parser.add_argument("--driver", required=True)
    parser.add_argument("--append", default="")
    parser.add_argument("--smp", type=int, action="append", default=[])
    parser.add_argument("--memory", default="256M")
    parser.add_argument("--deadline", type=float, default=100)
    parser.add_argument("--print", action="store_true")
    parser.add_argument("programs", nargs="+")
    options = parser.parse_args()
    wanted = on_linux(options.driver, options.programs, options.deadline)
    wrong = 0
    for smp in options.smp or [1]:
        console, ended = on_paravane(options, smp)
        if options.print:
            print("\n".join(console))
        got = [line for line in console if line and not KERNEL_LINE.match(line)]
        differences = list(difflib.unified_diff(wanted, got, "Linux", f"paravane, {smp} CPUs", lineterm="", n=1))
        if not ended:
            print(f"FAILED: with {smp} CPUs the guest was still running after {options.deadline} s")
        if differences or not ended:
            print("\n".join(differences))
            print("FAILED: the console's end:", *console[-25:], sep="\n  ")
            wrong += 1
        elif "paravane: powering off, status 0" not in console[-1:]:
            print(f"FAILED: the last line is {console[-1:]}")
            wrong += 1
    print(f"{len(wanted)} lines compared")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
