#!/usr/bin/env python3
# Our kernel against Debian's, same QEMU, same disk: operations per second, and guest instructions per operation.
# SPDX-License-Identifier: MIT
#
# Each figure is a difference of two runs, a short one and a long one, so that boot and power-off are not in it. Both
# kernels run in turn; instructions are the plugin's count, which the machine's noise does not touch (speed is measured
# without the plugin). Judges nothing. usage: bench.py --paravane KERNEL --vmlinuz FILE --initrd FILE --load PROGRAM
# --init SCRIPT --plugin SO [--disk nvme,virtio-blk] [--iommu none,intel] [--rounds N] [--only TEXT]
import argparse
import os
import pathlib
import re
import statistics
import subprocess
import sys
import tempfile

# name, operation, pattern, size, depth, requests of the long run
LOADS = [
    ("4 KiB random read, depth 1", "read", "random", 4096, 1, 12000),
    ("4 KiB random read, depth 32", "read", "random", 4096, 32, 24000),
    ("4 KiB random write, depth 1", "write", "random", 4096, 1, 12000),
    ("4 KiB random write, depth 32", "write", "random", 4096, 32, 24000),
    ("1 MiB sequential read, depth 1", "read", "sequential", 1 << 20, 1, 1200),
    ("1 MiB sequential write, depth 1", "write", "sequential", 1 << 20, 1, 1200),
]
DISK_BYTES = 256 << 20


def archive(arguments, folder):
    """An initramfs that lays the load and its init over Debian's."""
    tree = pathlib.Path(folder) / "tree"
    tree.mkdir()
    for source, name in ((arguments.load, "linux_load"), (arguments.init, "init")):
        (tree / name).write_bytes(pathlib.Path(source).read_bytes())
        (tree / name).chmod(0o755)
    packed = subprocess.run(["cpio", "-o", "-H", "newc", "-R", "0:0", "--quiet"], cwd=tree, input=b"init\nlinux_load\n",
                            capture_output=True, check=True).stdout
    out = pathlib.Path(folder) / "initrd"
    first = pathlib.Path(arguments.initrd).read_bytes()
    out.write_bytes(first + bytes(-len(first) % 4) + packed)
    return str(out)


class Machine:
    def __init__(self, arguments, folder):
        self.arguments = arguments
        self.folder = folder
        self.initrd = archive(arguments, folder)
        self.image = os.path.join(folder, "disk")
        with open(self.image, "wb") as image:
            for _ in range(DISK_BYTES >> 20):
                image.write(b"\x5a" * (1 << 20))

    def run(self, system, disk, iommu, load, count, counted):
        """(nanoseconds of the load, or instructions of the whole run)"""
        _, operation, pattern, size, depth, _ = load
        machine = "q35" + (",kernel-irqchip=split" if iommu == "intel" else "")
        command = ["qemu-system-x86_64", "-machine", machine, "-accel", "tcg", "-cpu", "max", "-smp", "1", "-m", "512M",
                   "-nodefaults", "-display", "none", "-no-reboot", "-serial", "stdio",
                   "-drive", f"file={self.image},format=raw,if=none,id=d,cache=unsafe"]
        if iommu == "intel":
            command += ["-device", "intel-iommu,intremap=on"]
        if disk == "nvme":
            command += ["-device", "nvme,drive=d,serial=d,addr=0x10"]
        else:
            platform = ",iommu_platform=on" if iommu == "intel" else ""
            command += ["-device", "virtio-blk-pci,drive=d,disable-legacy=on,addr=0x10" + platform]
        if system == "paravane":
            command += ["-kernel", self.arguments.paravane, "-append",
                        f"load=operation:{operation},pattern:{pattern},size:{size},depth:{depth},commands:{count} nvme-doorbells=memory"]
        else:
            name = "/dev/nvme0n1" if disk == "nvme" else "/dev/vda"
            more = " intel_iommu=on iommu.strict=1" if iommu == "intel" else ""
            command += ["-kernel", self.arguments.vmlinuz, "-initrd", self.initrd, "-append",
                        f"console=ttyS0 quiet load={name},{operation},{pattern},{size},{depth},{count}" + more]
        log = os.path.join(self.folder, "log")
        if counted:
            command += ["-plugin", self.arguments.plugin + ",probe=instructions", "-d", "plugin", "-D", log]
        console = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=300, check=False,
                                 stdin=subprocess.DEVNULL)
        found = re.search(r"operations (\d+) nanoseconds (\d+)", console.stdout)
        if not found or int(found[1]) != count:
            sys.exit(f"bench: {' '.join(command)}\n{console.stdout[-2000:]}{console.stderr}\nno result")
        if not counted:
            return int(found[2])
        with open(log, encoding="utf-8") as lines:
            return sum(int(n) for n in re.findall(r":paravane_instructions cpu \d+ count (\d+)", lines.read()))


def main():
    parser = argparse.ArgumentParser()
    for name in ("paravane", "vmlinuz", "initrd", "load", "init", "plugin"):
        parser.add_argument("--" + name, required=True)
    parser.add_argument("--disk", default="nvme,virtio-blk")
    parser.add_argument("--iommu", default="none,intel")
    parser.add_argument("--rounds", type=int, default=int(os.environ.get("ROUNDS", "3")))
    parser.add_argument("--only", default="")
    arguments = parser.parse_args()
    print("operations per second (more is better): median of pairs; instructions per operation (fewer is better)")
    print(f"{'disk':10} {'IOMMU':6} {'load':32} {'ours/s':>8} {'Debian/s':>8} {'ratio':>6}   {'ours':>7} {'Debian':>7} {'ratio':>6}")
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        machine = Machine(arguments, folder)
        for disk in arguments.disk.split(","):
            for iommu in arguments.iommu.split(","):
                for load in LOADS:
                    if arguments.only in load[0]:
                        line(machine, arguments, disk, iommu, load)


def line(machine, arguments, disk, iommu, load):
    many, few = load[5], load[5] // 4
    speed = {"paravane": [], "debian": []}
    cost = {}
    for _ in range(arguments.rounds):
        for system, speeds in speed.items():
            speeds.append(many / machine.run(system, disk, iommu, load, many, False) * 1e9)
    for system in speed:
        counts = [machine.run(system, disk, iommu, load, count, True) for count in (few, many)]
        cost[system] = (counts[1] - counts[0]) / (many - few)
    ours, theirs = (statistics.median(speed[system]) for system in ("paravane", "debian"))
    pairs = statistics.median(a / b for a, b in zip(speed["paravane"], speed["debian"]))
    print(f"{disk:10} {iommu:6} {load[0]:32} {ours:8.0f} {theirs:8.0f} {pairs:6.2f}   "
          f"{cost['paravane']:7.0f} {cost['debian']:7.0f} {cost['debian'] / max(cost['paravane'], 1):6.2f}", flush=True)


main()
