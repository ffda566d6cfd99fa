#!/usr/bin/env python3
# Two guests of a kind on one link, ours against Debian's: TCP stream and small datagrams, per second, and instructions for each.
# SPDX-License-Identifier: MIT
#
# Both ends run the same kernel: one serves, the other measures. Speed is a run's own figure (from the connection, or the first
# datagram, on); instructions are the plugin's counts of both guests together, a long run less a short one, so that boot and
# power-off are not in them. Kinds run in turn. Judges nothing. usage: bench.py --paravane KERNEL --vmlinuz FILE --initrd FILE
# --load PROGRAM --init SCRIPT --plugin SO [--iommu none,intel] [--rounds N]
import os
import pathlib
import re
import select
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import two_kernels  # noqa: E402

SERVER, CLIENT = "10.0.0.1", "10.0.0.2"
# name, unit, what Linux's program and what our kernel are told ({n}: how many), operations of the long run, those of one unit
LOADS = [
    ("TCP stream", "MiB", "stream,{peer},{n}", "stream:{n}", 128 << 20, 1 << 20),
    ("64-byte datagrams and back, 32 at once", "datagrams", "datagrams,{peer},{n},64,32", "datagrams:{n},size:64,depth:32", 40000, 1),
    ("64-byte datagram and back, 1 at once", "datagrams", "datagrams,{peer},{n},64,1", "datagrams:{n},size:64,depth:1", 8000, 1),
]


class Guest:
    def __init__(self, bench, system, address, work, iommu, counted):
        server = address == SERVER
        machine = "q35" + (",kernel-irqchip=split" if iommu == "intel" else "")
        link = f"stream,id=n,server={'on' if server else 'off'},addr.type=unix,addr.path={bench.folder}/link"
        device = f"virtio-net-pci,netdev=n,disable-legacy=on,romfile=,mac=52:54:00:00:00:{address[-1:]:0>2}"
        self.command = ["qemu-system-x86_64", "-machine", machine, "-accel", "tcg", "-cpu", "max", "-smp", "1", "-m", "256M",
                        "-nodefaults", "-display", "none", "-no-reboot", "-serial", "stdio"]
        if iommu == "intel":
            self.command += ["-device", "intel-iommu,intremap=on"]
            device += ",iommu_platform=on"
        self.command += ["-netdev", link, "-device", device]
        if system == "paravane":
            self.command += ["-kernel", bench.arguments.paravane, "-append", f"net=address:{address}/24,pings:0{work}"]
        else:
            more = " intel_iommu=on iommu.strict=1 no_timer_check" if iommu == "intel" else ""
            self.command += ["-kernel", bench.arguments.vmlinuz, "-initrd", bench.initrd, "-append",
                             f"console=ttyS0 quiet load={address},{work}" + more]
        self.log = f"{bench.folder}/{address}.log"
        if counted:
            self.command += two_kernels.counting(bench.arguments.plugin, self.log)
        self.process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.console = b""

    def wait_for(self, pattern, deadline=120):
        until = time.monotonic() + deadline
        while not (found := re.search(pattern, self.console)):
            if not select.select([self.process.stdout], [], [], max(0, until - time.monotonic()))[0]:
                break
            more = os.read(self.process.stdout.fileno(), 65536)
            if not more:
                break
            self.console += more
        if not found:
            self.process.kill()
            sys.exit(f"bench: {' '.join(self.command)}\n{self.console.decode(errors='replace')[-2000:]}\nno line '{pattern.decode()}'")
        return found

    def end(self):
        """Instructions it executed, where they are counted."""
        if self.process.poll() is None:
            self.process.terminate()
        self.process.communicate(timeout=60)
        return two_kernels.instructions(self.log) if os.path.exists(self.log) else 0


class Bench:
    def __init__(self, arguments, folder):
        self.arguments, self.folder = arguments, folder
        self.initrd = two_kernels.overlay(arguments.initrd, folder, {"init": arguments.init, "linux_net": arguments.load})

    def run(self, system, iommu, load, count, counted):
        """Nanoseconds of the load, or instructions of both guests."""
        _, _, linux, ours, _, _ = load
        serve, work = ((",serve:300s", " traffic=peer:{peer}," + ours) if system == "paravane" else ("serve", linux))
        server = Guest(self, system, SERVER, serve, iommu, counted)
        server.wait_for(b"net: serves|bench: serves")
        client = Guest(self, system, CLIENT, work.format(peer=SERVER, n=count), iommu, counted)
        found = client.wait_for(two_kernels.RESULT.encode() + rb"\r?\n")
        client.process.wait(60)
        instructions = client.end() + server.end()
        if int(found[1]) != count:
            sys.exit(f"bench: {count} were to be done, {int(found[1])} were")
        return instructions if counted else int(found[2])

    def line(self, iommu, load):
        name, unit, _, _, many, one = load
        times, cost = two_kernels.compare(self.arguments.rounds, many,
                                          lambda system, count, counted: self.run(system, iommu, load, count, counted))
        print(f"{iommu:6} {name:40} {unit:10} {two_kernels.speed_columns(times, many / one)}   {two_kernels.cost_columns(cost, 9, one)}",
              flush=True)


def main():
    parser = two_kernels.parser("initrd", "load", "init")
    parser.add_argument("--iommu", default="none,intel")
    arguments = parser.parse_args()
    print("per second (more is better): median of runs in turn; instructions of both guests for each (fewer is better)")
    print(f"{'IOMMU':6} {'load':40} {'unit':10} {'ours/s':>8} {'Debian/s':>8} {'ratio':>6}   {'ours':>9} {'Debian':>9} {'ratio':>6}")
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        bench = Bench(arguments, folder)
        for iommu in arguments.iommu.split(","):
            for load in LOADS:
                if arguments.only in load[0]:
                    bench.line(iommu, load)


main()
