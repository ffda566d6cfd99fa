#!/usr/bin/env python3
# Our kernel against Debian's, same QEMU, same disk: operations per second, and guest instructions per operation.
# SPDX-License-Identifier: MIT
#
# Each figure is a difference of two runs, a short one and a long one, so that boot and power-off are not in it. Both
# kernels run in turn; instructions are the plugin's count, which the machine's noise does not touch (speed is measured
# without the plugin). Judges nothing. usage: bench.py --paravane KERNEL --vmlinuz FILE --initrd FILE --load PROGRAM
# --init SCRIPT --plugin SO [--disk nvme,virtio-blk] [--iommu none,intel] [--rounds N] [--only TEXT]
import os
import pathlib
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import two_kernels  # noqa: E402

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


class Machine:
    def __init__(self, arguments, folder):
        self.arguments = arguments
        self.folder = folder
        self.initrd = two_kernels.overlay(arguments.initrd, folder, {"init": arguments.init, "linux_load": arguments.load})
        self.image = os.path.join(folder, "disk")
        with open(self.image, "wb") as image:
            for _ in range(DISK_BYTES >> 20):
                image.write(b"\x5a" * (1 << 20))

    def run(self, system, disk, iommu, load, count, counted):
        """Nanoseconds of the load, or instructions of the whole run."""
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
        plugin = self.arguments.plugin if counted else None
        return two_kernels.run(command, count, plugin, os.path.join(self.folder, "log"))


def main():
    parser = two_kernels.parser("initrd", "load", "init")
    parser.add_argument("--disk", default="nvme,virtio-blk")
    parser.add_argument("--iommu", default="none,intel")
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
    many = load[5]
    times, cost = two_kernels.compare(arguments.rounds, many,
                                      lambda system, count, counted: machine.run(system, disk, iommu, load, count, counted))
    print(f"{disk:10} {iommu:6} {load[0]:32} {two_kernels.speed_columns(times, many)}   {two_kernels.cost_columns(cost, 7)}", flush=True)


main()
