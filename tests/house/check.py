# Applies the house's rules to the source tree: check.py rules | documents BUILD | format | shell | tidy BUILD | analyze BUILD
# SPDX-License-Identifier: MIT
import json
import os
import pathlib
import re
import subprocess
import sys

import rules
import tidy

TOP = pathlib.Path(__file__).resolve().parents[2]
SKIP = {".git", "build", "node_modules"}


def tracked():
    """Paths of the project's own files: git's list, or, in an unpacked archive, all but what is made."""
    if (TOP / ".git").exists():
        output = subprocess.run(["git", "-c", "safe.directory=*", "-C", TOP, "ls-files", "-z", "-co", "--exclude-standard"],
                                check=True, stdout=subprocess.PIPE).stdout
        return sorted(name for name in output.decode().split("\0") if name and (TOP / name).is_file())
    found = []
    for folder, folders, names in os.walk(TOP):
        folders[:] = [name for name in folders if name not in SKIP and not name.startswith("build-")]
        found += [os.path.relpath(os.path.join(folder, name), TOP) for name in names]
    return sorted(found)


def read():
    files = {}
    for path in tracked():
        data = (TOP / path).read_bytes()
        if b"\0" not in data:
            files[path] = data.decode("utf-8", "replace")
    return files


def ctest_names(build):
    """Every test of a build tree with its labels."""
    output = subprocess.run(["ctest", "--test-dir", build, "--show-only=json-v1"], check=True, stdout=subprocess.PIPE).stdout
    tests = {}
    for test in json.loads(output)["tests"]:
        labels = set()
        for item in test.get("properties", []):
            if item["name"] == "LABELS":
                labels.update(item["value"])
        tests[test["name"]] = labels
    return tests


def format_complaints():
    names = [path for path in tracked() if path.endswith((".cpp", ".hpp", ".c", ".h"))]
    result = subprocess.run(["clang-format-19", "--dry-run", "-Werror", "--style=file", *names], cwd=TOP,
                            stderr=subprocess.PIPE, text=True)
    bad = sorted(set(re.findall(r"^(\S[^:\n]*):\d+:\d+: error:", result.stderr, re.M)))
    if result.returncode and not bad:
        bad = [result.stderr.strip()]
    return [f"{path}: not formatted; run clang-format-19 -i on it" for path in bad]


def shell_complaints():
    """Shell scripts, by their first line, under shellcheck; its information and style levels are left to the reader."""
    scripts = [path for path, text in read().items() if re.match(r"#!.*\b(ba|busybox |da)?sh\b|# shellcheck shell=", text)]
    result = subprocess.run(["shellcheck", "-x", "-S", "warning", "-f", "gcc", *scripts], cwd=TOP, stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT, text=True)
    return result.stdout.splitlines() or (["shellcheck failed"] if result.returncode else [])


def main(arguments):
    what = arguments[0] if arguments else ""
    if what == "rules":
        files = read()
        found = [f"{name}: {line}" for name, rule in rules.RULES.items() for line in rule(files)]
        print(f"{len(files)} files, {len(rules.RULES)} rules, {len(found)} complaints")
    elif what == "documents":
        # ci/test builds the unit tests in another tree.
        others = filter(None, os.environ.get("PV_OTHER_TREES", "").split(":"))
        tests = {name: labels for build in (arguments[1], *others) for name, labels in ctest_names(build).items()}
        found = list(rules.named_tests(read(), tests))
        print(f"{len(tests)} tests, {len(found)} complaints")
    elif what == "format":
        found = format_complaints()
    elif what in ("tidy", "analyze"):
        found = tidy.Tidy(TOP, arguments[1], what == "analyze").complaints()
    elif what == "shell":
        found = shell_complaints()
    else:
        print("usage: check.py rules | documents BUILD | format | shell | tidy BUILD | analyze BUILD", file=sys.stderr)
        return 2
    for line in found:
        print(line)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
