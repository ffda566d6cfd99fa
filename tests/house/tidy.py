# clang-tidy over product code, several files as one: what they include is read, and walked through by each check, once for all.
# SPDX-License-Identifier: MIT
import concurrent.futures
import json
import os
import pathlib
import re
import shlex
import subprocess

# Warnings are the compiler's business; clang would read GCC's options for them in its own way.
GCC_ONLY = re.compile(r"-W(?!l,).*|-fno-sanitize-recover=all|-fconcepts.*|-fanalyzer")
UNITY = re.compile(r"unity_\w+_cxx\.cxx")
FOLDERS = ("host-tools", "qemu-plugins")
ANALYZER = ["-checks=-*,clang-analyzer-core.*,clang-analyzer-cplusplus.*,clang-analyzer-unix.*,performance-unnecessary-value-param"]


def options(command):
    """A compile command's own options: without the compiler, what it reads and writes, and what is GCC's alone."""
    words = [word for word in shlex.split(command["command"])[1:] if not GCC_ONLY.fullmatch(word)]
    for name in ("-include", "-o", "-c"):  # -include: GCC's precompiled header
        while name in words:
            at = words.index(name)
            del words[at:at + 2]
    return (*words, "-w")


def chosen(top, build):
    """Product code by path: the folder it is compiled in, and its options."""
    with open(os.path.join(build, "compile_commands.json"), encoding="utf-8") as file:
        commands = json.load(file)
    found = {}
    for command in commands:
        for file in together(command):
            path = os.path.relpath(file, top)
            if path.split("/")[0] in FOLDERS and path.endswith(".cpp"):
                found[path] = (command["directory"], options(command))
    return found


def together(command):
    """The files that a command compiles: CMake's unity_*_cxx.cxx includes several."""
    if not UNITY.fullmatch(os.path.basename(command["file"])):
        return [command["file"]]
    return re.findall(r'^#include "(.*)"$', pathlib.Path(command["file"]).read_text(encoding="utf-8"), re.M)


def included(top, directory, words, file):
    """The headers of others that `file` includes, directly or not."""
    result = subprocess.run(["clang++-19", "-M", *words, file], cwd=directory, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    paths = (os.path.normpath(os.path.join(directory, path)) for path in result.stdout.replace("\\\n", " ").split()[1:])
    return frozenset(path for path in paths if not path.startswith(f"{top}/"))


def chains(paths, headers):
    """Files that are read as one. Each includes all that those before it do: none finds there what it forgot to include itself.
    (Of the project's own headers the compiler says that one is missing; those of others it has precompiled in ci/test.)"""
    found = []
    for path in sorted(paths, key=lambda path: (len(headers[path]), path)):
        fitting = [chain for chain in found if headers[chain[-1]] <= headers[path]]
        if fitting:
            max(fitting, key=lambda chain: len(headers[chain[-1]])).append(path)
        else:
            found.append([path])
    return found


class Tidy:
    def __init__(self, top, build, analyzer):
        self.top = pathlib.Path(top)
        self.files = chosen(top, build)
        self.analyzer = analyzer
        self.folder = pathlib.Path(build, "tidy").resolve()

    def run(self, file, directory, words):
        """What clang-tidy complains of, and the files in which there is something that clang does not compile."""
        checks = ANALYZER if self.analyzer else []
        result = subprocess.run(["clang-tidy-19", "--quiet", f"--config-file={self.top / '.clang-tidy'}", *checks, file, "--", *words],
                                cwd=directory, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        found = re.findall(r"^.*: (?:error|warning): .*", result.stdout, re.M)
        errors = re.findall(r"^(.*?):\d+:\d+: error: .*\[clang-diagnostic-error\b.*", result.stdout, re.M)
        if result.returncode and not found:
            found = [f"{file}: clang-tidy failed: {result.stderr[-500:]}"]
        return found, {os.path.relpath(os.path.join(directory, path), self.top) for path in errors}

    def look(self, name, paths):
        """Complaints of files with the same options. Those that cannot stand behind the others (names of theirs meet) stand alone."""
        directory, words = self.files[paths[0]]
        alone, found = [], []
        while len(paths) > 1:
            file = self.folder / f"{name}.cpp"
            file.write_text("".join(f'#include "{self.top / path}"\n' for path in paths))
            found, wrong = self.run(file, directory, words)
            if not wrong:
                break
            rest = [path for path in paths if path not in wrong]
            alone += [path for path in paths if path in wrong or len(rest) == len(paths)]
            paths, found = (rest if len(rest) < len(paths) else []), []
        for path in alone + (paths if len(paths) == 1 else []):
            found += self.run(self.top / path, directory, words)[0]
        return found

    def complaints(self):
        if not self.files:
            return ["nothing to look at: no product code among the compile commands"]
        self.folder.mkdir(exist_ok=True)
        alike = {}
        for path, how in sorted(self.files.items()):
            alike.setdefault(how, []).append(path)
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            headers = dict(zip(self.files, pool.map(lambda path: included(self.top, *self.files[path], self.top / path), self.files)))
            # The analyzer's work is in the functions, not in the headers.
            parts = [part for paths in alike.values() for part in ([[path] for path in paths] if self.analyzer else chains(paths, headers))]
            found = pool.map(self.look, (f"part-{number}" for number in range(len(parts))), parts)
            return sorted({line.replace(f"{self.top}/", "") for lines in found for line in lines})
