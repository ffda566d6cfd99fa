#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Judges a linked kernel image: segments never writable and executable, the PVH note, nothing of another build in it, no
function of the C library but those that the compiler itself calls.

usage: check_image.py KERNEL.elf [--without SYMBOL-PART]... [--with SYMBOL-PART]...
"""
import argparse
import re
import struct
import subprocess
import sys

PT_LOAD, PT_NOTE, PT_GNU_STACK = 1, 4, 0x6474E551
EXECUTE, WRITE = 1, 2
SHT_SYMTAB, SHT_DYNSYM = 2, 11
XEN_PHYS32_ENTRY = 18
# What GCC and the standard headers call of their own accord, and what an assertion ends in (arch/x86_64/runtime.cpp).
COMPILERS = {"memcpy", "memmove", "memset", "memcmp", "memchr", "strlen", "abort", "__assert_fail"}
# Functions of the C library that have their like in the C++ one, and must not be written once more under any roof.
TEXT = re.compile(r"(str|mem|wcs|wmem)[a-z]+|v?[sdfw]*n?w?(printf|scanf)|ato[ifl]+|[ql]?sort|qsort_r|bsearch|l?l?div")


def segments(elf):
    offset, = struct.unpack_from("<Q", elf, 32)
    size, count = struct.unpack_from("<HH", elf, 54)
    for i in range(count):
        kind, flags, at, _, _, in_file, in_memory, _ = struct.unpack_from("<IIQQQQQQ", elf, offset + i * size)
        yield kind, flags, elf[at:at + in_file], in_memory


def symbols(elf, sort=SHT_SYMTAB):
    """Names of what is defined."""
    offset, = struct.unpack_from("<Q", elf, 40)
    size, count = struct.unpack_from("<HH", elf, 58)
    headers = [struct.unpack_from("<IIQQQQIIQQ", elf, offset + i * size) for i in range(count)]
    for header in headers:
        if header[1] == sort:
            names = headers[header[6]]
            table = elf[names[4]:names[4] + names[5]]
            for at in range(header[4], header[4] + header[5], header[9]):
                name, _, _, section = struct.unpack_from("<IBBH", elf, at)
                if section != 0:
                    yield table[name:table.index(b"\0", name)].decode()


def of_the_library():
    """Names of the C library's functions: of the one that runs this."""
    with open("/proc/self/maps", encoding="utf-8") as maps:
        path = next(line.split()[-1] for line in maps if re.search(r"/libc[.-]", line))
    with open(path, "rb") as file:
        return set(symbols(file.read(), SHT_DYNSYM))


def home_made(names):
    library = of_the_library()
    if not {"strtol", "sprintf", "qsort"} <= library:
        yield "the C library of this machine names none of its functions"
    yield from (f"has {name}, which is the C library's" for name in sorted(set(names) & library - COMPILERS))
    plain = subprocess.run(["c++filt"], input="\n".join(names), stdout=subprocess.PIPE, text=True, check=True).stdout
    text = {name for name in library if TEXT.fullmatch(name)}
    for line in sorted(set(plain.splitlines())):
        last = re.match(r"[^(]*::(\w+)(?:<[^()]*>)?\(", line)
        if last and last[1] in text and not line.startswith("std::"):
            yield f"has {line}: the standard library's would do"


def problems(elf, options):
    if elf[:5] != b"\x7fELF\x02":
        yield "no 64-bit ELF file"
        return
    loads = executable = 0
    note = False
    for kind, flags, content, in_memory in segments(elf):
        if kind == PT_LOAD and in_memory > 0:
            loads += 1
            executable += bool(flags & EXECUTE)
            if flags & WRITE and flags & EXECUTE:
                yield "a segment is writable and executable"
        if kind == PT_GNU_STACK and flags & EXECUTE:
            yield "the stack is executable"
        if kind == PT_NOTE and len(content) >= 24:
            name, _, what = struct.unpack_from("<III", content)
            note = note or (name == 4 and content[12:16] == b"Xen\0" and what == XEN_PHYS32_ENTRY)
    if loads < 3 or executable != 1:
        yield f"{loads} loaded segments, {executable} executable: not text, constants and data"
    if not note:
        yield "no PVH note (type 18)"
    names = list(symbols(elf))
    yield from home_made(names)
    for part in options.without:
        if any(part in name for name in names):
            yield f"has a symbol with {part!r} in it"
    for part in options.has:
        if not any(part in name for name in names):
            yield f"has no symbol with {part!r} in it"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("kernel")
    parser.add_argument("--without", action="append", default=[])
    parser.add_argument("--with", action="append", default=[], dest="has")
    options = parser.parse_args()
    with open(options.kernel, "rb") as file:
        found = list(problems(file.read(), options))
    for line in found:
        print(f"FAILED: {options.kernel}: {line}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
