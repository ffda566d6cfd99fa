# What the benchmarks of our kernel against Debian's share: runs in turn, counts of instructions, arguments, an initramfs.
# SPDX-License-Identifier: MIT
import argparse
import os
import pathlib
import re
import statistics
import subprocess
import sys
import time

SYSTEMS = ("paravane", "debian")
# Of the line that a load prints at its end: operations, nanoseconds.
RESULT = r"operations (\d+) nanoseconds (\d+)"


def parser(*files):
    """Arguments of every such benchmark; `files` are its own required ones."""
    made = argparse.ArgumentParser()
    for name in ("paravane", "vmlinuz", "plugin", *files):
        made.add_argument("--" + name, required=True)
    made.add_argument("--rounds", type=int, default=int(os.environ.get("ROUNDS", "3")))
    made.add_argument("--only", default="")
    return made


def overlay(initrd, folder, files):
    """Path of an initramfs in `folder` that lays `files` (name: path of a program) over that of `initrd`."""
    tree = pathlib.Path(folder) / "tree"
    tree.mkdir()
    for name, source in files.items():
        (tree / name).write_bytes(pathlib.Path(source).read_bytes())
        (tree / name).chmod(0o755)
    packed = subprocess.run(["cpio", "-o", "-H", "newc", "-R", "0:0", "--quiet"], cwd=tree, input="\n".join(sorted(files)).encode() + b"\n",
                            capture_output=True, check=True).stdout
    out = pathlib.Path(folder) / "initrd"
    first = pathlib.Path(initrd).read_bytes()
    out.write_bytes(first + bytes(-len(first) % 4) + packed)
    return str(out)


def newc(name, mode, data=b""):
    fields = (1, mode, 0, 0, 1, 0, len(data), 0, 0, 5 if data == b"" else 0, 1 if data == b"" else 0, len(name) + 1, 0)
    head = b"070701" + b"".join(b"%08x" % field for field in fields) + name.encode() + b"\0"
    return head + b"\0" * (-len(head) % 4) + data + b"\0" * (-len(data) % 4)


def with_first_program(program, out):
    """Writes an initramfs to `out` whose first program is the file `program`, with a console to write to."""
    init = pathlib.Path(program).read_bytes()
    pathlib.Path(out).write_bytes(newc("dev", 0o40755) + newc("dev/console", 0o20600) + newc("init", 0o100755, init) + newc("TRAILER!!!", 0))


def seconds_to_line(command, expected):
    """Seconds from QEMU's start to the end of the first line on the console that has `expected` (bytes) in it."""
    begin = time.monotonic()
    lines = []
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as process:
        try:
            for line in process.stdout:
                if expected in line:
                    return time.monotonic() - begin
                lines.append(line)
        finally:
            process.kill()
    sys.exit(f"bench: {' '.join(command)}: none of its lines has {expected!r}: {lines[-20:]}")


def counting(plugin, log):
    """Options with which QEMU counts its guest's instructions into `log`."""
    return ["-plugin", plugin + ",probe=instructions", "-d", "plugin", "-D", log]


def instructions(log):
    """Of all processors, as `counting` left them in `log`, which goes."""
    with open(log, encoding="utf-8") as lines:
        count = sum(int(n) for n in re.findall(r":paravane_instructions cpu \d+ count (\d+)", lines.read()))
    os.unlink(log)
    return count


def whole_run(command, plugin, log):
    """Instructions of a guest from power-on to power-off."""
    done = subprocess.run(command + counting(plugin, log), capture_output=True, timeout=300, check=False, stdin=subprocess.DEVNULL)
    if done.returncode != 0:
        sys.exit(f"bench: {' '.join(command)}: {done.stderr.decode(errors='replace')}")
    return instructions(log)


def run(command, count, plugin=None, log=None):
    """Runs a guest to its end, whose load does `count` operations. Nanoseconds of the load; with `plugin`, instructions of the whole
    run, counted into `log`."""
    if plugin:
        command = command + counting(plugin, log)
    console = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=300, check=False, stdin=subprocess.DEVNULL)
    found = re.search(RESULT, console.stdout)
    if not found or int(found[1]) != count:
        sys.exit(f"bench: {' '.join(command)}\n{console.stdout[-2000:]}{console.stderr}\nno result")
    return instructions(log) if plugin else int(found[2])


def compare(rounds, many, measure):
    """Nanoseconds of each of `rounds` runs of `many` operations, systems in turn, and instructions for one operation: a long run less
    a short one, so that boot and power-off are not in them. `measure(system, count, counted)` runs `count` operations and gives
    nanoseconds, or instructions where they are `counted`."""
    few = many // 4
    times = {system: [] for system in SYSTEMS}
    for _ in range(rounds):
        for system in SYSTEMS:
            times[system].append(measure(system, many, False))
    cost = {}
    for system in SYSTEMS:
        counts = [measure(system, count, True) for count in (few, many)]
        cost[system] = (counts[1] - counts[0]) / (many - few)
    return times, cost


def speed_columns(times, units):
    """Units per second, ours and Debian's, and the median of the pairs' ratios, where each time is that of so many units."""
    speed = {system: [units / time * 1e9 for time in times[system]] for system in SYSTEMS}
    ours, theirs = (statistics.median(speed[system]) for system in SYSTEMS)
    pairs = statistics.median(a / b for a, b in zip(speed["paravane"], speed["debian"]))
    return f"{ours:8.0f} {theirs:8.0f} {pairs:6.2f}"


def cost_columns(cost, width, units=1):
    """Instructions for so many operations, ours and Debian's, and the ratio."""
    ours, theirs = (cost[system] * units for system in SYSTEMS)
    return f"{ours:{width}.0f} {theirs:{width}.0f} {theirs / max(ours, 1):6.2f}"
