#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Compares every `Deadline::never(` in the guest kernel with the list of those that were thought about.

usage: check_never.py GUEST-KERNEL-FOLDER LIST   (a line of LIST: `path: "reason"`, # begins a comment)
"""
import pathlib
import re
import sys

USE = re.compile(r'Deadline::never\(\s*("(?:[^"\\]|\\.)*")?')


def main():
    folder, allowed_file = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
    allowed = [line for line in allowed_file.read_text().splitlines() if line and not line.startswith("#")]
    sources = sorted(p for p in folder.rglob("*") if p.suffix in (".cpp", ".hpp"))
    if not sources:
        print(f"FAILED: no sources in {folder}")
        return 1
    found = []
    for path in sources:
        for use in USE.finditer(path.read_text()):
            found.append(f"{path.relative_to(folder)}: {use.group(1) or '(no literal reason)'}")
    new = sorted(set(found) - set(allowed))
    gone = sorted(set(allowed) - set(found))
    for line in new:
        print(f"FAILED: a wait without end that is not listed: {line}")
    for line in gone:
        print(f"FAILED: listed, but not there any more: {line}")
    return 1 if new or gone else 0


if __name__ == "__main__":
    sys.exit(main())
