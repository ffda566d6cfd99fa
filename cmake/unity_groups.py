# Which source files may be compiled as one: unity_groups.py FILE... prints `GROUP FILE` for each that has company.
# SPDX-License-Identifier: MIT
#
# A group's files lie in one folder, and none mentions a name that is local to another (in an unnamed namespace, static, a
# macro), nor does a header of the project that it includes: each means in the group what it means alone. Declarations of a
# namespace begin in the first column (clang-format).
import functools
import pathlib
import re
import sys

LARGEST = 60_000  # characters of a group, so that no processor waits long for another
TO_DROP = re.compile(r'//(?! namespace$)[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])+\'', re.M | re.S)
UNNAMED = re.compile(r"^namespace \{$(.*?)^\}  // namespace$", re.M | re.S)
BEGINS = re.compile(r"^(?!TEST|INSTANTIATE_TEST|MATCHER|template\b|static_assert\b|using namespace\b)[A-Za-z_].*", re.M)
NOT_IN_NAME = re.compile(r"alignas\([^)]*\) |<[^<>]*>")
MENTIONED = re.compile(r"(?<!\.)(?<!->)(?<!::)\b[A-Za-z_]\w*")


def declared(line):
    """The name that a declaration's first line has before its first bracket."""
    return re.findall(r"\w+", re.split(r"[({=;\[]", NOT_IN_NAME.sub("", NOT_IN_NAME.sub("", line)), maxsplit=1)[0])[-1:]


@functools.cache
def in_header(path):
    """Types and functions that a header and those it includes mention: parameters' and members' names do not matter."""
    text = TO_DROP.sub(" ", path.read_text(encoding="utf-8"))
    found = set(re.findall(r"(?<!\.)(?<!->)(?<!::)\b(?:[A-Z]\w*|[a-z_]\w*(?=\())", text))
    return found.union(*(in_header(header) for header in included(path) if header != path))


def included(path):
    """The project's headers, by their names from a folder above."""
    for name in re.findall(r'^#include "(.*)"$', path.read_text(encoding="utf-8"), re.M):
        yield from [folder / name for folder in path.parents if (folder / name).is_file()][:1]


class Source:
    def __init__(self, path):
        self.path = pathlib.Path(path)
        text = TO_DROP.sub(" ", self.path.read_text(encoding="utf-8"))
        lines = [line for block in UNNAMED.findall(text) for line in BEGINS.findall(block)] + re.findall(r"^static .*", text, re.M)
        self.local = {name for line in lines for name in declared(line)} | set(re.findall(r"^ *# *define (\w+)", text, re.M))
        self.local |= set(re.findall(r"^\w[^\n(]*\b(?:TEST\w*|MATCHER\w*)\((\w+)", text, re.M))
        self.mentioned = set(MENTIONED.findall(text)).union(*map(in_header, included(self.path)))
        self.size = len(text)

    def fits(self, others):
        return sum(other.size for other in others) + self.size <= LARGEST and not any(
            self.local & other.mentioned or other.local & self.mentioned for other in others)


def main():
    groups = []
    for path in sorted(sys.argv[1:]):
        source = Source(path)
        folder = source.path.parent
        fitting = next((members for place, members in groups if place == folder and source.fits(members)), None)
        if fitting is None:
            groups.append((folder, [source]))
        else:
            fitting.append(source)
    for number, (folder, members) in enumerate(groups):
        for source in members if len(members) > 1 else []:
            print(f"{folder.name}_{number} {source.path}")


if __name__ == "__main__":
    main()
