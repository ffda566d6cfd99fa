#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A file that is embedded into the kernel and is missing is named by whoever looks for it, not by the linker as a symbol.

usage: check_embedded.py BUILD   (assembles every .S file that has .incbin, without the folders it finds its files in)
"""
import json
import os
import re
import shlex
import subprocess
import sys
import tempfile


def main():
    with open(os.path.join(sys.argv[1], "compile_commands.json"), encoding="utf-8") as file:
        commands = {command["file"]: command for command in json.load(file) if command["file"].endswith(".S") and not command["file"].startswith(os.path.abspath(sys.argv[1]))}
    seen, failed = 0, 0
    for path, command in sorted(commands.items()):
        with open(path, encoding="utf-8") as file:
            embedded = re.findall(r'\.incbin\s+"([^"]+)"', file.read())
        if not embedded:
            continue
        seen += 1
        words = [word for word in shlex.split(command["command"])
                 if os.path.basename(word) != "ccache" and not word.startswith("-Wa,-I")]
        with tempfile.TemporaryDirectory() as folder:
            at = words.index("-o")
            words[at + 1] = os.path.join(folder, "out.o")
            result = subprocess.run(words, cwd=folder, stderr=subprocess.PIPE, text=True)
        for name in embedded:
            if result.returncode == 0 or name not in result.stderr:
                failed += 1
                print(f"FAILED: {path}: {name} is missing, and nobody says so: {result.stderr.strip() or 'it assembles'}")
    if seen == 0:
        print("FAILED: nothing is embedded with .incbin: how is the vdso found, and who says when it is missing?")
    print(f"{seen} files with something embedded, {failed} complaints")
    return 1 if failed or seen == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
