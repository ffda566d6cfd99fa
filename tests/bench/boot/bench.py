# How long after power-on the kernel says its first line, against the firmware's floor; both sides interleaved.
# SPDX-License-Identifier: MIT
import argparse
import pathlib
import statistics
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import two_kernels  # noqa: E402

GOAL = 0.150  # seconds above the floor


def first_line(kernel, memory, expected):
    """Seconds from QEMU's start to the first whole line on the console, which must begin as expected."""
    command = ["qemu-system-x86_64", "-machine", "q35", "-accel", "tcg", "-cpu", "max", "-m", memory, "-nodefaults",
               "-display", "none", "-no-reboot", "-serial", "stdio", "-kernel", kernel]
    return two_kernels.seconds_to_line(command, expected)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--floor", required=True)
    parser.add_argument("--kernel", required=True)
    parser.add_argument("--memory", default="256M")
    parser.add_argument("--pairs", type=int, default=9)
    options = parser.parse_args()
    floors, kernels = [], []
    for pair in range(options.pairs):
        sides = [(floors, options.floor, b"floor"), (kernels, options.kernel, b"paravane kernel")]
        for times, kernel, expected in sides if pair % 2 == 0 else reversed(sides):
            times.append(first_line(kernel, options.memory, expected))
    differences = [kernel - floor for floor, kernel in zip(floors, kernels)]
    floor, kernel = statistics.median(floors), statistics.median(kernels)
    print(f"{options.pairs} pairs, interleaved, {options.memory}; median (least to most), seconds after QEMU's start")
    for name, times in (("floor: one line, nothing else", floors), ("kernel: first line", kernels)):
        print(f"{name:31} {statistics.median(times):.3f} ({min(times):.3f} to {max(times):.3f})")
    difference = statistics.median(differences)
    print(f"{'difference within a pair':31} {difference:.3f} ({min(differences):.3f} to {max(differences):.3f})")
    print(f"{'ratio':31} {kernel / floor:.2f} x")
    print(f"{'goal, at most 0.150 above floor':31} {'met' if difference <= GOAL else 'missed'}")


main()
