# What is built for the host is hardened: hardening.py FILE... looks at each ELF file as the loader will.
# SPDX-License-Identifier: MIT
import re
import subprocess
import sys


def complaints(path):
    text = subprocess.run(["readelf", "--wide", "--headers", "--dynamic", "--symbols", path], check=True,
                          stdout=subprocess.PIPE, text=True).stdout
    if not re.search(r"^\s*Type:\s+DYN", text, re.M):
        yield "not position independent"
    if not re.search(r"^\s*GNU_RELRO", text, re.M):
        yield "no read-only relocations (RELRO)"
    if not re.search(r"BIND_NOW|FLAGS_1.*NOW", text):
        yield "symbols are bound late"
    stack = re.search(r"^\s*GNU_STACK.*$", text, re.M)
    if not stack or "E" in stack[0].split()[-2]:
        yield "executable stack"
    for segment in re.findall(r"^\s*LOAD\s.*$", text, re.M):
        if re.search(r"\bRWE\b", segment):
            yield "a segment that is writable and executable"
    if "__stack_chk_fail" not in text:
        yield "no stack protector"
    if not re.search(r"__\w+_chk\b", re.sub(r"__stack_chk\w*", "", text)):
        yield "nothing of _FORTIFY_SOURCE"


def main(paths):
    found = [f"{path}: {complaint}" for path in paths for complaint in complaints(path)]
    print("\n".join(found) or f"{len(paths)} files are hardened")
    return 1 if found or not paths else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
