#!/usr/bin/env python3
# Our kernel against Debian's, the same static program on both: nanoseconds and guest instructions per operation.
# SPDX-License-Identifier: MIT
#
# Each figure is a difference of two runs, a short one and a long one, so that boot and power-off are not in it. Both kernels
# run in turn; instructions are the plugin's count, which the machine's noise does not touch (time is measured without the
# plugin). Judges nothing. usage: bench.py --paravane KERNEL --vmlinuz FILE --program FILE --plugin SO [--smp 1,4]
# [--rounds N] [--only NAME]
import os
import pathlib
import statistics
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import two_kernels  # noqa: E402

# Name for people, load, operations of the long run: enough for the differences between two boots (of four processors, fifty million
# instructions) to be little beside it.
LOADS = [
    ("null call", "null", 4000000),
    ("pipe, there and back", "pipe", 20000),
    ("futex, there and back", "futex", 20000),
    ("sched_yield, there and back", "switch", 40000),
    ("fork, exit, wait", "fork", 4000),
    ("fork, execve, exit, wait", "exec", 1600),
    ("page fault", "fault", 65536),
    ("thread create and join", "thread", 8000),
    ("create, stat, unlink", "file", 80000),
    ("clock_gettime", "clock", 2000000),
    ("clock_gettime, by a call", "clockcall", 400000),
]


class Machine:
    def __init__(self, arguments, folder):
        self.arguments, self.folder = arguments, folder
        self.initrd = os.path.join(folder, "initrd")
        two_kernels.with_first_program(arguments.program, self.initrd)

    def run(self, system, smp, load, count, counted):
        """Nanoseconds of the load, or instructions of the whole run."""
        command = ["qemu-system-x86_64", "-machine", "q35", "-accel", "tcg", "-cpu", "max", "-smp", str(smp), "-m", "512M", "-nodefaults",
                   "-display", "none", "-no-reboot", "-serial", "stdio", "-initrd", self.initrd]
        if system == "paravane":
            command += ["-kernel", self.arguments.paravane, "-append", f"loglevel=error -- {load} {count}"]
        else:
            command += ["-kernel", self.arguments.vmlinuz, "-append", f"console=ttyS0 quiet panic=-1 -- {load} {count}"]
        plugin = self.arguments.plugin if counted else None
        return two_kernels.run(command, count, plugin, os.path.join(self.folder, "log"))


def line(machine, arguments, smp, name, load, many):
    times, cost = two_kernels.compare(arguments.rounds, many,
                                      lambda system, count, counted: machine.run(system, smp, load, count, counted))
    ours, theirs = (statistics.median(times[system]) / many for system in two_kernels.SYSTEMS)
    print(f"{smp:4} {name:28} {ours:9.0f} {theirs:9.0f} {theirs / ours:6.2f}   {two_kernels.cost_columns(cost, 8)}", flush=True)


def main():
    parser = two_kernels.parser("program")
    parser.add_argument("--smp", default="1,4")
    arguments = parser.parse_args()
    print("nanoseconds per operation: median; instructions per operation; ratios above 1 are in our favour")
    print(f"{'CPUs':4} {'load':28} {'ours':>9} {'Debian':>9} {'ratio':>6}   {'ours':>8} {'Debian':>8} {'ratio':>6}")
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        machine = Machine(arguments, folder)
        for smp in map(int, arguments.smp.split(",")):
            for name, load, many in LOADS:
                if arguments.only in load:
                    line(machine, arguments, smp, name, load, many)


main()
