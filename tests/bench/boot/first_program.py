# How long after power-on the first program's first instructions run, on our kernel and on Debian's: the same program in the
# same initramfs, kinds in turn. Judges nothing but that both get there.
# SPDX-License-Identifier: MIT
# usage: first_program.py --paravane KERNEL --vmlinuz FILE --init PROGRAM --plugin SO [--smp 1,4] [--rounds N]
import os
import pathlib
import statistics
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import two_kernels  # noqa: E402

GOAL = 10  # times quicker than Debian's
EXPECTED = b"first instruction"


def machine(arguments, smp, initrd):
    """Command lines by system."""
    common = ["qemu-system-x86_64", "-machine", "q35", "-accel", "tcg", "-cpu", "max", "-smp", smp, "-m", "512M", "-nodefaults",
              "-display", "none", "-no-reboot", "-serial", "stdio", "-initrd", initrd]
    return {"paravane": common + ["-kernel", arguments.paravane, "-append", "loglevel=error"],
            "debian": common + ["-kernel", arguments.vmlinuz, "-append", "console=ttyS0 quiet panic=-1"]}


def main():
    parser = two_kernels.parser("init")
    parser.add_argument("--smp", default="1,4")
    arguments = parser.parse_args()
    print("seconds from QEMU's start to what the first program says first: median (least to most); guest instructions of the whole run")
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        initrd = os.path.join(folder, "initrd")
        two_kernels.with_first_program(arguments.init, initrd)
        for smp in arguments.smp.split(","):
            commands = machine(arguments, smp, initrd)
            times = {system: [] for system in two_kernels.SYSTEMS}
            for _ in range(arguments.rounds):
                for system, command in commands.items():
                    times[system].append(two_kernels.seconds_to_line(command, EXPECTED))
            for system, all_times in times.items():
                count = two_kernels.whole_run(commands[system], arguments.plugin, os.path.join(folder, "log"))
                print(f"{smp} CPUs {system:10} {statistics.median(all_times):.3f} ({min(all_times):.3f} to {max(all_times):.3f}) "
                      f"{count / 1e6:8.1f} million", flush=True)
            ratio = statistics.median(times["debian"]) / statistics.median(times["paravane"])
            print(f"{smp} CPUs {'ratio':10} {ratio:.1f}, goal {GOAL}: {'met' if ratio >= GOAL else 'missed'}", flush=True)


main()
