# What the plugin costs: a Linux boot and a loop of markers, with and without it, interleaved; user time of QEMU.
# SPDX-License-Identifier: MIT
import argparse
import os
import resource
import statistics
import subprocess
import sys

MARKERS = 200_000  # as in the guest's scenario `many`


def user_time(command):
    """Seconds of processor time QEMU used, as user."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    result = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, timeout=120, check=False)
    if result.returncode not in (0, 1):
        sys.exit(f"bench: QEMU failed: {result.stderr.decode(errors='replace').strip()}")
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--plugin", required=True)
    parser.add_argument("--guest", required=True)
    parser.add_argument("--kernel", required=True)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    if not os.path.exists(arguments.kernel):
        sys.exit(f"bench: {arguments.kernel} is not there\nhint: run ci/debian-guest")
    base = ["qemu-system-x86_64", "-machine", "q35,memory-backend=ram", "-m", "256M", "-accel", "tcg", "-nodefaults",
            "-object", "memory-backend-memfd,id=ram,size=256M,share=on", "-display", "none", "-no-reboot"]
    # Without a root file system the kernel panics, and with panic=-1 that ends QEMU.
    boot = base + ["-kernel", arguments.kernel, "-append", "panic=-1 quiet"]
    loop = base + ["-kernel", arguments.guest, "-append", "many", "-device", "isa-debug-exit,iobase=0xf4,iosize=4"]
    log = ["-d", "plugin", "-D", "/dev/null"]
    plugin = lambda probe: log + ["-plugin", arguments.plugin + probe]
    sides = {
        "boot, no plugin (floor)": boot,
        "boot, markers": boot + plugin(",probe=markers"),
        "boot, probes of every run": boot + plugin(""),
        "boot, these and tlb": boot + plugin(",probe=markers,control=on,rings=on,tlb=on"),
        "boot, these and ownership": boot + plugin(",probe=markers,control=on,rings=on,ownership=on"),
        "boot, these, tlb and ownership": boot + plugin(",probe=markers,control=on,rings=on,tlb=on,ownership=on"),
        "200,000 markers, no plugin (floor)": loop,
        "200,000 markers, markers": loop + plugin(",probe=markers"),
    }
    times = {name: [] for name in sides}
    for _ in range(arguments.rounds):
        for name, command in sides.items():
            times[name].append(user_time(command))
    median = {name: statistics.median(values) for name, values in times.items()}
    floor = 0.0
    for name, value in median.items():
        floor = value if "floor" in name else floor
        print(f"{name:38} {value:7.3f} s   {value / floor:5.2f} x")
    cost = (median["200,000 markers, markers"] - median["200,000 markers, no plugin (floor)"]) / MARKERS
    print(f"one marker, six arguments              {cost * 1e9:7.0f} ns")


if __name__ == "__main__":
    main()
