#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Makes docs/linux.md from the kernel's table of system calls, or checks that it is as the table says.

usage: make_page.py [--check] GUEST-KERNEL/LINUX PAGE
"""
import argparse
import pathlib
import re
import subprocess
import sys

ENTRY = re.compile(
    r"\{\s*__NR_(\w+),\s*\"(\w+)\",\s*handler_of<[^;{}]*?>\s*"
    r"(?:,\s*Support::(full|partial),\s*(\{\}|(?:\"(?:[^\"\\]|\\.)*\"\s*)+))?(?:,\s*Restart::\w+)?\s*\}")
HEAD = """# System calls
Made from the kernel's table by `tests/linux/make_page.py`; a test (`linux.page`) holds the two together. A call that is
absent answers `ENOSYS` and is named once on the console, with the program.

"""


def entries(folder):
    """name: (state, note)"""
    found = {}
    for path in sorted(pathlib.Path(folder).glob("*_calls.cpp")):
        text = path.read_text()
        listed = text.count("{__NR_")
        matched = list(ENTRY.finditer(text))
        if len(matched) != listed:
            sys.exit(f"{path}: {listed} entries, {len(matched)} understood")
        for entry in matched:
            if entry[1].removesuffix("64") != entry[2].removesuffix("64"):
                sys.exit(f"{path}: {entry[2]} has the number of {entry[1]}")
            note = "".join(re.findall(r'"((?:[^"\\]|\\.)*)"', entry[4] or ""))
            found[entry[1]] = (entry[3] or "full", note)
    return found


def all_calls():
    """Every call of x86-64, by number, as the interface's header has them."""
    text = subprocess.run(["cc", "-E", "-dM", "-include", "asm/unistd.h", "-x", "c", "/dev/null"], check=True,
                          stdout=subprocess.PIPE, text=True).stdout
    numbers = {name: int(number) for name, number in re.findall(r"#define __NR_(\w+) (\d+)", text)}
    return sorted(numbers, key=numbers.get), numbers


def page(folder):
    found = entries(folder)
    names, numbers = all_calls()
    partial = [name for name in names if found.get(name, ("",))[0] == "partial"]
    full = [name for name in names if found.get(name, ("",))[0] == "full"]
    text = HEAD + f"Supported as Linux has them ({len(full)}): " + ", ".join(f"`{name}`" for name in full) + ".\n\n"
    text += f"| partly ({len(partial)}) | what differs |\n|---|---|\n"
    return text + "".join(f"| `{name}` | {found[name][1]} |\n" for name in partial) + \
        "\nAll others are absent.\n"


def main():
    parser = argparse.ArgumentParser(allow_abbrev=False)
    parser.add_argument("--check", action="store_true")
    parser.add_argument("folder")
    parser.add_argument("page", type=pathlib.Path)
    options = parser.parse_args()
    text = page(options.folder)
    if not options.check:
        options.page.write_text(text)
        return 0
    if options.page.read_text() != text:
        print(f"FAILED: {options.page} is not what the table gives: run {sys.argv[0]} {options.folder} {options.page}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
