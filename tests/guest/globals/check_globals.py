#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Every variable that the kernel may write is atomic, a lock or behind one, or its reason stands in a list.

usage: check_globals.py LIST-GLOBALS KERNEL.elf REASONS

A line of REASONS is `pattern: reason`; the pattern (of a shell) is of the variable's name with its file, `fs/dev.cpp:nodes`.
"""
import fnmatch
import re
import subprocess
import sys

# Atomic<T>, locks, what a lock guards, wait queues (a lock of their own inside), and arrays of them.
GUARDED = re.compile(r"(array<(?:std::|pv::)?)?(pv::)?(task::)?(Atomic|atomic|SpinLock|Mutex|Guarded|SleepGuarded|WaitQueue|SharedMaximum)\b")


def main():
    lister, kernel, list_file = sys.argv[1:]
    listed = subprocess.run([lister, kernel], stdout=subprocess.PIPE, text=True, check=True).stdout.splitlines()
    with open(list_file, encoding="utf-8") as file:
        lines = [line.strip() for line in file if line.strip() and not line.startswith("#")]
    reasons = dict(re.split(r":\s+", line, maxsplit=1) for line in lines)
    used, found, guarded = set(), [], 0
    for line in listed:
        name, kind, place = line.split("\t")
        if kind.startswith("const ") and not kind.endswith("*"):
            continue
        if GUARDED.match(kind):
            guarded += 1
            continue
        path = re.sub(r":\d+$", "", re.sub(r"^.*(guest-kernel|lwip/src)/", lambda at: "" if at[1] == "guest-kernel" else "lwip/", place))
        reason = next((pattern for pattern in reasons if fnmatch.fnmatchcase(f"{path}:{name}", pattern)), None)
        if reason is None:
            found.append(f"{path}:{name} is a {kind}: neither atomic nor guarded, and no reason is listed")
        else:
            used.add(reason)
    found += [f"listed, but not there any more: {pattern}" for pattern in reasons if pattern not in used]
    if guarded < 50:
        found.append(f"only {guarded} guarded variables: the kernel's debug information is not read as it should")
    print(f"{len(listed)} variables, {guarded} guarded, {len(reasons)} reasons, {len(found)} complaints")
    for line in found:
        print(f"FAILED: {line}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
