# What calls a function without a bound does not compile, in any part: the compiler is asked with each part's own commands.
# SPDX-License-Identifier: MIT
#
# usage: test_unbounded.py BUILD
import concurrent.futures
import json
import os
import pathlib
import re
import shlex
import subprocess
import sys
import tempfile

TOP = pathlib.Path(__file__).resolve().parents[2]
HEADER = "cmake/unbounded.h"
PARTS = {
    "guest-kernel": r"guest-kernel/.*\.cpp$",
    "guest-kernel/vdso": r"guest-kernel/vdso/.*\.cpp$",
    "guest-programs": r"guest-programs/.*\.c$",
    "host-tools": r"host-tools/.*\.cpp$",
    "host-tools/faults": r"host-tools/faults/.*\.cpp$",
    "qemu-plugins": r"qemu-plugins/.*\.cpp$",
    "tests": r"tests/.*\.cpp$",
}
INCLUDES = "#include <stdarg.h>\n#include <stdio.h>\n#include <string.h>\n#include <unistd.h>\n#include <wchar.h>\n"
GOOD = "int use(char* to, const char* from, unsigned long room);\nint use(char* to, const char* from, unsigned long room) {\n" \
       "    return snprintf(to, room, \"%s\", from);\n}\n"
CALLS = {
    "strcpy": "strcpy(to, from);",
    "strcat": "strcat(to, from);",
    "stpcpy": "stpcpy(to, from);",
    "wcscpy": "wcscpy(wide, wide_from);",
    "wcscat": "wcscat(wide, wide_from);",
    "wcpcpy": "wcpcpy(wide, wide_from);",
    "gets": "gets(to);",
    "getwd": "getwd(to);",
    "sprintf": 'sprintf(to, "%s", from);',
    "vsprintf": 'vsprintf(to, "%s", list);',
}


BAD = ("void use(char* to, const char* from, wchar_t* wide, const wchar_t* wide_from, va_list list);\n"
       "void use(char* to, const char* from, wchar_t* wide, const wchar_t* wide_from, va_list list) {\n"
       + "".join(f"    {call}\n" for call in CALLS.values()) + "}\n")


def commands(build):
    """The compile commands of the project's own sources."""
    with open(os.path.join(build, "compile_commands.json"), encoding="utf-8") as file:
        for command in json.load(file):
            path = os.path.relpath(command["file"], TOP)
            if path.endswith((".c", ".cpp")) and not path.startswith(("..", "build/")):
                yield path, shlex.split(command["command"]), command["directory"]


def has_header(words, directory):
    """Whether the header comes before the source file: by itself, or inside the precompiled header."""
    forced = [words[i + 1] for i, word in enumerate(words[:-1]) if word == "-include"]
    for name in forced:
        path = pathlib.Path(directory, name)
        if path == TOP / HEADER or (path.name == "cmake_pch.hxx" and str(TOP / HEADER) in path.read_text()):
            return True
    return False


def compile(words, directory, source, folder):
    """The compiler's complaints about `source` when it is compiled as the command's own file is."""
    suffix = pathlib.Path(words[-1]).suffix
    path = pathlib.Path(folder, f"{abs(hash(source))}{suffix}")
    path.write_text(INCLUDES + source)
    words = [word for word in words if os.path.basename(word) != "ccache"]
    at = words.index("-o")
    words = [*words[:at], *words[at + 2:-1], "-fsyntax-only", "-fdiagnostics-color=never", str(path)]
    result = subprocess.run(words, cwd=directory, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    path.unlink()
    return result.stderr if result.returncode else ""


def judge(part, words, directory):
    with tempfile.TemporaryDirectory() as folder:
        said = compile(words, directory, GOOD, folder)
        if said:
            yield f"{part}: a call with a bound does not compile: {said.strip().splitlines()[0]}"
        said = compile(words, directory, BAD, folder)
        for name in CALLS:
            if not re.search(rf"error: .*\b{name}\b.*without a bound", said):
                yield f"{part}: a call of {name} compiles"


def main():
    found, chosen, count = [], {}, 0
    for path, words, directory in commands(sys.argv[1]):
        count += 1
        if not has_header(words, directory):
            found.append(f"{path}: compiled without {HEADER}")
        for part, pattern in PARTS.items():
            if re.match(pattern, path):
                chosen.setdefault(part, (words, directory))
    found += [f"{part}: no file of it is compiled" for part in PARTS if part not in chosen]
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for lines in pool.map(lambda part: list(judge(part, *chosen[part])), chosen):
            found += lines
    print(f"{count} compile commands, {len(chosen)} parts, {len(CALLS)} functions, {len(found)} complaints")
    print("\n".join(found))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
