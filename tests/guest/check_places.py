#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Boots the test kernel several times and judges where it says it lies: elsewhere each time by chance, with the processor's
generator and without; where it was linked with `nokaslr`.

usage: check_places.py KERNEL.elf
"""
import pathlib
import re
import subprocess
import sys

LINKED = [0xFFFFFFFF80200000, 0xFFFF800000000000, 0xFFFFC00000000000]
NAMES = ["image", "direct map", "space"]
NONE, PROCESSOR, CLOCK = 0, 1, 2
PLACE = re.compile(r"place: image (\S+) direct map (\S+) space (\S+) chance (\d)")
RUNNER = pathlib.Path(__file__).with_name("run_guest.py")


def boot(kernel, append="", cpu=None):
    """The three places and what chose them, as one boot tells."""
    command = [sys.executable, "-B", RUNNER, "--kernel", kernel, "--append", f"test=place {append}", "--print", PLACE.pattern]
    result = subprocess.run(command + (["--", "-cpu", cpu] if cpu else []), capture_output=True, text=True)
    found = PLACE.search(result.stdout)
    if result.returncode != 0 or not found:
        sys.exit(f"a boot with {append!r} on {cpu} failed:\n{result.stdout}{result.stderr}")
    return [int(number, 16) for number in found.groups()[:3]], int(found.group(4))


def main():
    kernel = sys.argv[1]
    wrong = []
    # A part is at the same place twice running once in a thousand boots: of four boots, some are elsewhere.
    for cpu, source in ((None, PROCESSOR), ("max,rdrand=off,rdseed=off", CLOCK)):
        seen = [boot(kernel, cpu=cpu)]
        while len(seen) < 4 and any(len({places[part] for places, _ in seen}) == 1 for part in range(3)):
            seen.append(boot(kernel, cpu=cpu))
        for part, name in enumerate(NAMES):
            if len({places[part] for places, _ in seen}) == 1:
                wrong.append(f"the {name} lies at {seen[0][0][part]:#x} in {len(seen)} boots")
        if {chance for _, chance in seen} != {source}:
            wrong.append(f"chosen by {[chance for _, chance in seen]}, not {source}, on {cpu}")
    places, chance = boot(kernel, "nokaslr")
    if (places, chance) != (LINKED, NONE):
        wrong.append(f"with nokaslr at {[hex(place) for place in places]}, chosen by {chance}")
    for line in wrong:
        print(f"FAILED: {line}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
