# What all probes together cost, on four loads: user time of QEMU with the plugin against the same QEMU without, sides in turn.
# SPDX-License-Identifier: MIT
import argparse
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

from bench import user_time

PROBES = {"markers": ",probe=markers", "all probes": ",probe=markers,control=on,rings=on,tlb=on,ownership=on"}
# Starts a program as often as it takes to outweigh the boot.
FORKS = """#!/bin/busybox sh
i=0
while [ $i -lt 400 ]; do
  /bin/busybox true
  i=$((i + 1))
done
/bin/busybox poweroff -f
"""


def initrd_of_forks(debian, folder):
    root = folder / "root"
    root.mkdir()
    (root / "init").write_text(FORKS)
    (root / "init").chmod(0o755)
    archive = subprocess.run(["cpio", "-o", "-H", "newc", "--quiet"], cwd=root, input=b"init", stdout=subprocess.PIPE, check=True).stdout
    data = (debian / "initrd").read_bytes()
    path = folder / "initrd"
    path.write_bytes(data + bytes(-len(data) % 4) + archive)
    return path


def profile_for_the_plugin(paravane, debian, folder):
    """The file that `check` writes for the plugin, taken while it runs."""
    name = "debian-6.12" if "linux-image-6.12" in (debian / "packages").read_text() else "debian-6.1"
    scratch = folder / "s"
    scratch.mkdir()
    command = [paravane, "record", "--output", folder / "t.db", "--profile", name, "--kernel", debian / "vmlinuz", "--initrd", debian / "initrd",
               "--append", "console=ttyS0 quiet"]
    with subprocess.Popen(command, env={**os.environ, "TMPDIR": str(scratch)}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        end = time.monotonic() + 120
        try:
            while time.monotonic() < end and process.poll() is None:
                for path in scratch.rglob("*"):
                    if path.is_file() and path.read_bytes()[:18] == b"paravane-profile 1":
                        time.sleep(0.5)  # it is written at once
                        return pathlib.Path(shutil.copy(path, folder / "profile"))
                time.sleep(0.05)
        finally:
            process.terminate()
    sys.exit("bench: no profile was written")


def main():
    parser = argparse.ArgumentParser()
    for name in ("plugin", "guest", "debian", "paravane", "ours"):
        parser.add_argument(f"--{name}", required=True, type=pathlib.Path)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    debian = arguments.debian
    if not (debian / "vmlinuz").exists():
        sys.exit(f"bench: {debian}/vmlinuz is not there\nhint: run ci/debian-guest")
    with tempfile.TemporaryDirectory(prefix="pv", dir="/tmp") as name:
        folder = pathlib.Path(name)
        profile = profile_for_the_plugin(arguments.paravane, debian, folder)
        base = ["qemu-system-x86_64", "-machine", "q35,memory-backend=ram", "-m", "512M", "-accel", "tcg", "-cpu", "max", "-nodefaults",
                "-object", "memory-backend-memfd,id=ram,size=512M,share=on", "-display", "none", "-no-reboot"]
        disks = []
        for number, device in enumerate(("nvme,serial=disk0", "virtio-blk-pci")):
            with open(folder / f"disk{number}", "wb") as disk:
                disk.truncate(64 << 20)
            disks += ["-drive", f"file={folder}/disk{number},format=raw,if=none,id=d{number},cache=unsafe",
                      "-device", f"{device},drive=d{number},addr={0x10 + number:#x}"]
        linux = ["-kernel", str(debian / "vmlinuz"), "-append"]
        loads = {
            "Debian: boot, 6,000 blocks": base + disks + linux + ["console=ttyS0 quiet paravane.blocks=1500", "-initrd", str(debian / "initrd")],
            "Debian: 400 fork and exec": base + linux + ["console=ttyS0 quiet", "-initrd", str(initrd_of_forks(debian, folder))],
            "8 MiB of memory, 100 times": base + ["-kernel", str(arguments.guest), "-append", "memory",
                                                  "-device", "isa-debug-exit,iobase=0xf4,iosize=4"],
            "ours: exercise": base + disks + ["-kernel", str(arguments.ours), "-append", "exercise=threads:4,blocks:8000"],
        }
        times = {}
        for _ in range(arguments.rounds):
            for load, command in loads.items():
                sides = {"no plugin": command}
                options = dict(PROBES)
                if load.startswith("Debian"):
                    options["all, profile"] = f"{PROBES['all probes']},profile={profile}"
                for side, probes in options.items():
                    sides[side] = command + ["-d", "plugin", "-D", "/dev/null", "-plugin", f"{arguments.plugin}{probes}"]
                for side, line in sides.items():
                    times.setdefault((load, side), []).append(user_time(line))
        # Other work only ever adds: the least times are nearest to what a side takes.
        for (load, side), seconds in times.items():
            floor = times[load, "no plugin"]
            median = statistics.median(seconds)
            print(f"{load:28} {side:14} least {min(seconds):6.2f} s {min(seconds) / min(floor):5.2f} x   "
                  f"median {median:6.2f} s {median / statistics.median(floor):5.2f} x   of {len(seconds)}", flush=True)


main()
