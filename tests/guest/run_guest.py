#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Boots a kernel straight under QEMU and judges its console: the status it powers off with and lines it must say.

usage: run_guest.py --kernel ELF --append TEXT [--status N] [--expect REGEX]... [--forbid REGEX]... [--memory M]
                    [--deadline SECONDS] [--stuck-console] [--type LINE] [--disk SIZE]...
                    [--plugin SO [--log-expect REGEX]...] [--mirror-expect REGEX]... [-- QEMU ARGUMENTS]

With --plugin the guest is watched by our QEMU plugin, and its log is judged too. Each --disk is a sparse file; {disk0}, {disk1}, ... in QEMU's arguments are their names. {mirror} is the name of a file that --mirror-expect looks at: where a second console writes.
"""
import argparse
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))

import qemu  # noqa: E402

FINAL = re.compile(rb"paravane: powering off, status (\d+)")


def boot(options, folder):
    """Runs the guest to its end; returns its console and whether it ended by itself."""
    console = os.path.join(folder, "console")
    command = ["-m", options.memory, "-kernel", options.kernel, "-append", options.append]
    if options.stuck_console:
        # A pipe that is opened and not read: it takes 64 KiB, then nothing.
        for end in ("in", "out"):
            os.mkfifo(f"{console}.{end}")
        reader = os.open(f"{console}.out", os.O_RDONLY | os.O_NONBLOCK)
        writer = os.open(f"{console}.in", os.O_RDWR | os.O_NONBLOCK)
        command += ["-chardev", f"pipe,id=console,path={console}", "-serial", "chardev:console"]
    else:
        command += ["-chardev", f"file,id=console,path={console}" + (f",input-path={console}.in" if options.type else ""),
                    "-serial", "chardev:console"]
    if options.type:
        os.mkfifo(f"{console}.in")
        keyboard = os.open(f"{console}.in", os.O_RDWR | os.O_NONBLOCK)
    disks = {}
    for number, size in enumerate(options.disk):
        disks[f"disk{number}"] = os.path.join(folder, f"disk{number}")
        subprocess.run(["truncate", "-s", size, disks[f"disk{number}"]], check=True)
    disks["mirror"] = os.path.join(folder, "mirror")
    arguments = [re.sub(r"\{(disk\d+|mirror)\}", lambda name: disks[name.group(1)], text) for text in options.arguments]
    if options.plugin:
        command += ["-plugin", f"{options.plugin},probe=control", "-d", "plugin", "-D", os.path.join(folder, "log")]
    process = qemu.start(command + arguments)
    end = time.monotonic() + options.deadline
    while options.type and process.poll() is None and time.monotonic() < end:
        try:
            os.write(keyboard, options.type.encode() + b"\n")
        except BlockingIOError:
            pass  # nobody reads: what is on the way is enough
        time.sleep(0.4)
    ended = qemu.ended_within(process, end - time.monotonic())
    if options.type:
        os.close(keyboard)
    if options.stuck_console:
        output = b""
        while chunk := os.read(reader, 65536):
            output += chunk
        os.close(reader)
        os.close(writer)
        return output, ended
    with open(console, "rb") as file:
        return file.read(), ended


def judge_log(options, folder):
    """What the plugin did not see, as lines for people."""
    with open(os.path.join(folder, "log"), encoding="latin-1") as file:
        text = file.read()
    for pattern in options.log_expect:
        if not re.search(pattern, text, re.MULTILINE):
            yield f"nothing in the plugin's log matches {pattern!r}"


def judge_mirror(options, folder):
    """What the second console did not say, as lines for people."""
    with open(os.path.join(folder, "mirror"), encoding="latin-1") as file:
        text = file.read()
    for pattern in options.mirror_expect:
        if not re.search(pattern, text, re.MULTILINE):
            yield f"nothing on the second console matches {pattern!r}"


def judge(options, output, ended):
    """What is wrong, as lines for people."""
    if not ended:
        yield f"the guest was still running after {options.deadline} s"
    if options.stuck_console:
        return  # the last line may have been dropped: that it ended is the point
    lines = [line for line in output.replace(b"\r", b"").split(b"\n") if line]
    final = FINAL.fullmatch(lines[-1]) if lines else None
    if final is None:
        yield "the last line does not say `paravane: powering off, status N`"
    elif int(final.group(1)) != options.status:
        yield f"status {int(final.group(1))}, not {options.status}"
    text = output.decode("latin-1").replace("\r", "")
    for pattern in options.expect:
        if not re.search(pattern, text, re.MULTILINE):
            yield f"nothing matches {pattern!r}"
    for pattern in options.forbid:
        if re.search(pattern, text, re.MULTILINE):
            yield f"something matches {pattern!r}"


def main():
    parser = argparse.ArgumentParser(allow_abbrev=False)
    parser.add_argument("--kernel", required=True)
    parser.add_argument("--append", default="")
    parser.add_argument("--status", type=int, default=0)
    parser.add_argument("--expect", action="append", default=[])
    parser.add_argument("--forbid", action="append", default=[])
    parser.add_argument("--memory", default="256M")
    parser.add_argument("--deadline", type=float, default=60)
    parser.add_argument("--disk", action="append", default=[])
    parser.add_argument("--print", action="append", default=[], help="show what matches, whatever comes of it")
    parser.add_argument("--plugin")
    parser.add_argument("--log-expect", action="append", default=[])
    parser.add_argument("--mirror-expect", action="append", default=[])
    parser.add_argument("--stuck-console", action="store_true")
    parser.add_argument("--type", help="a line typed on the console, again and again")
    parser.add_argument("arguments", nargs="*")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="paravane-guest-") as folder:
        begin = time.monotonic()
        output, ended = boot(options, folder)
        wrong = list(judge(options, output, ended))
        if options.plugin:
            wrong += judge_log(options, folder)
        if options.mirror_expect:
            wrong += judge_mirror(options, folder)
        if wrong:
            sys.stdout.write(output.decode("latin-1")[-8000:])
        for pattern in options.print:
            for found in re.finditer(pattern, output.decode("latin-1").replace("\r", "")):
                print(found.group(0))
        print(f"{time.monotonic() - begin:.2f} s")
        for line in wrong:
            print(f"FAILED: {line}")
        return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
