# The rules of this house: each looks at the project's files and says what it does not like, one line a complaint.
# SPDX-License-Identifier: MIT
#
# A rule takes `files`, a mapping from path (relative, with "/") to text, and yields complaints. Binary files are left out.
import fnmatch
import posixpath
import re

SOURCE = (".cpp", ".hpp", ".c", ".h", ".S", ".ld", ".py", ".sql", ".cmake", ".awk", ".js", ".mjs", ".css", ".sh", ".yml", ".pml")
# Recorded input of tests, and what a tool writes.
DATA = re.compile(r"(^|/)(corpus|data|golden|fixtures)/|package-lock\.json$|^LICENSES/|\.(log|txt|json|lock|csv|tsv|dts|xml)$")


def is_script(text):
    return text.startswith("#!")


def is_source(path, text):
    return not DATA.search(path) and (path.endswith(SOURCE) or posixpath.basename(path) == "CMakeLists.txt" or is_script(text))


def licences(files):
    """Every source file names its licence near its top; what is built on QEMU's header is GPL-2.0-or-later."""
    for path, text in files.items():
        if not is_source(path, text):
            continue
        # A line of its own: behind a sentence, tools that read licences and people overlook it.
        found = re.search(r"^\W*SPDX-License-Identifier: (\S+)", "\n".join(text.splitlines()[:6]), re.M)
        if not found:
            yield f"{path}: no SPDX-License-Identifier line in the first six lines"
            continue
        allowed = {"MIT"}
        if path == "abi/paravane/marker.h":
            allowed = {"0BSD"}
        elif path.startswith("qemu-plugins/"):
            allowed = {"MIT", "GPL-2.0-or-later"}
            if re.search(r'^\s*#\s*include\s*[<"]qemu-plugin\.h', text, re.M):
                allowed = {"GPL-2.0-or-later"}
        if found[1] not in allowed:
            yield f"{path}: licence {found[1]}, expected {' or '.join(sorted(allowed))}"


def lengths(files):
    """No source file above 600 lines."""
    for path, text in files.items():
        lines = text.count("\n")
        if is_source(path, text) and lines > 600:
            yield f"{path}: {lines} lines; split it before it reaches 600"


def purposes(files):
    """A source file says what it is for: a comment in its first lines that is not the licence line."""
    for path, text in files.items():
        if not is_source(path, text) or posixpath.basename(path) == "CMakeLists.txt":
            continue
        head = [line for line in text.splitlines()[:6] if not line.startswith("#!") and "SPDX-" not in line]
        comment = re.compile(r'\s*(//|"""|/\*|#(?!\s*(include|define|pragma|if))|--|\*)\s*\S.*\w')
        if not any(comment.match(line) for line in head):
            yield f"{path}: no line in its first six says what the file is for"


def _host(url):
    return re.sub(r"^[a-z+]+://([^/:]+).*", r"\1", url)


def places(files):
    """No path of somebody's machine, no package mirror or registry by name."""
    machine = re.compile(r"(?<![\w.<{$/-])/(home/\w+|root/\w+|work/\w+|Users/\w+)")
    mirror = re.compile(r"\b((deb|security|snapshot|archive|ftp\.\w+)\.debian\.org|registry\.npmjs\.org|pypi\.org|files\.pythonhosted\.org)\b")
    for path, text in files.items():
        if path.startswith("tests/house/"):
            continue
        for number, line in enumerate(text.splitlines(), 1):
            for pattern, what in ((machine, "a path of one machine"), (mirror, "a package mirror")):
                found = pattern.search(line)
                if found:
                    yield f"{path}:{number}: {what}: {found[0]}"


def markers_of_unfinished_work(files):
    """Unfinished work stands in docs/status.md, not in the code."""
    word = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b(?!\w)")
    for path, text in files.items():
        if path.startswith(("tests/house/", "LICENSES/")) or path == "CONTRIBUTING.md" or DATA.search(path):
            continue
        for number, line in enumerate(text.splitlines(), 1):
            found = word.search(line)
            if found:
                yield f"{path}:{number}: {found[0]}: say it in docs/status.md instead"


# Within host-tools: what a folder may include besides itself.
HOST = {
    "base": set(),
    "store": {"base"},
    "capture": {"base", "store"},
    "checks": {"base", "store"},
    "report": {"base", "store"},
    "faults": {"base"},
    "images": {"base"},
    "profiles": {"base"},
    "domain": {"base", "faults"},
    "cli": {"base", "store", "capture", "checks", "report", "faults", "images", "profiles", "domain"},
}


def arrows(files):
    """Parts meet in abi/ only; the host tools' folders depend one way."""
    parts = ("guest-kernel", "guest-programs", "qemu-plugins", "host-tools")
    include = re.compile(r'^\s*#\s*include\s*"([^"]+)"', re.M)
    for path, text in files.items():
        part = path.split("/", 1)[0]
        if part not in parts or not path.endswith((".cpp", ".hpp", ".c", ".h", ".S")):
            continue
        for name in include.findall(text):
            if name.startswith("../") or any(other in name.split("/") for other in parts):
                yield f"{path}: includes {name}: include from the part's root"
                continue
            if f"abi/{name}" in files or posixpath.join(posixpath.dirname(path), name) in files:
                continue
            target = f"{part}/{name}"
            if target not in files:
                owners = [other for other in parts if other != part and f"{other}/{name}" in files]
                if owners:
                    yield f"{path}: includes {name} of {owners[0]}: parts share abi/ only"
                continue
            if part == "host-tools":
                mine, theirs = path.split("/")[1], name.split("/")[0]
                if mine != theirs and mine in HOST and theirs not in HOST[mine]:
                    yield f"{path}: {mine} must not use {theirs}"


def links(files):
    """A relative link in a document leads somewhere."""
    folders = {posixpath.dirname(path) for path in files}
    for path in list(folders):
        while path:
            folders.add(path)
            path = posixpath.dirname(path)
    for path, text in files.items():
        if not path.endswith(".md"):
            continue
        for target in re.findall(r"\]\(([^)\s]+)\)", re.sub(r"```.*?```|`[^`]*`", "", text, flags=re.S)):
            if re.match(r"[a-z]+:", target) or target.startswith("#"):
                continue
            file = posixpath.normpath(posixpath.join(posixpath.dirname(path), target.split("#")[0]))
            if file not in files and file not in folders:
                yield f"{path}: leads to {target}, which is not there"


def packages(files):
    """Every package that is installed has its reason in ci/packages and its row in docs/dependencies.md."""
    document = files.get("docs/dependencies.md", "")
    seen = set()
    for number, line in enumerate(files.get("ci/packages", "").splitlines(), 1):
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        name, _, reason = line.partition(" ")
        if not reason.strip():
            yield f"ci/packages:{number}: {name} has no reason"
        if name in seen:
            yield f"ci/packages:{number}: {name} is there twice"
        seen.add(name)
        if not re.search(rf"`{re.escape(name)}`", document):
            yield f"docs/dependencies.md: no row for {name}"


def _code(text):
    """C++ with its comments and the contents of its strings blanked out."""
    return re.sub(r'//[^\n]*|/\*.*?\*/|"(?:[^"\\\n]|\\.)*"', lambda found: re.sub(r"[^\n]", " ", found[0]), text, flags=re.S)


# Files in which something is made or ended by hand, each for its reason. Everywhere else one owner's destructor ends it.
OWNERS = {
    "guest-kernel/base/ref.hpp": "the last Ref ends the object",
    "guest-kernel/base/vector.hpp": "it is the vector, the one owner of its elements' memory",
    "guest-kernel/fs/open_file.cpp": "the last Ref ends the file",
    "guest-kernel/arch/x86_64/heap.cpp": "it is operator new and delete",
    "guest-kernel/hosted/runtime.cpp": "page frames are malloc's; what outlives every destructor is never ended",
    "guest-kernel/arch/x86_64/scheduler_start.cpp": "a CPU's scheduler and idle thread live as long as the machine",
    "guest-kernel/arch/x86_64/thread.cpp": "a thread's block has two owners, itself and its handle, counted in it",
    "guest-kernel/hosted/thread.cpp": "a thread's block has two owners, itself and its handle, counted in it",
    "guest-kernel/arch/x86_64/user_mode.cpp": "an area of its own alignment, ended by its class",
    "guest-kernel/boot/start.cpp": "the machine's tables live as long as the machine",
    "guest-kernel/interrupt/vector.cpp": "a CPU's table of vectors lives as long as the machine",
    "guest-kernel/device/pci/machine.cpp": "the configuration spaces live as long as the machine",
    "guest-kernel/device/iommu/machine.cpp": "the units live as long as the machine",
    "guest-kernel/device/dma/bounce.cpp": "the pool lives as long as the machine",
    "guest-kernel/device/dma/pages.cpp": "memory a device may still write is leaked on purpose, and counted",
    "guest-kernel/fs/epoll.cpp": "an item is in three intrusive lists; the one that takes it out of the last ends it",
    "guest-kernel/fs/notify.cpp": "a watch is in intrusive lists; dropped ones are ended outside the lock",
    "guest-kernel/fs/tmpfs.cpp": "nodes are taken apart in a loop, however deep the tree",
    "guest-kernel/fs/unix_core.cpp": "waiting connections are a list of their listener's",
    "guest-kernel/fs/unix_data.cpp": "messages are an intrusive list of their socket's",
    "guest-kernel/fs/unix_transfer.cpp": "messages with descriptors are ended outside the lock",
    "guest-kernel/linux/file_source.cpp": "leaves of a tree of its own, ended with it",
    "guest-kernel/memory/regions.cpp": "an intrusive set of its own, ended with it",
    "guest-kernel/net/port/memory.cpp": "lwIP's allocator: lwIP is C",
    "guest-kernel/task/process.cpp": "what a thread starts from is the thread's, once it runs",
    "guest-kernel/task/process_end.cpp": "notices are an intrusive list of the tracer's; what a signal takes, see process_signal.cpp",
    "guest-kernel/task/process_signal.cpp": "memory for a signal is there before the lock is taken, and goes after it if it was not needed",
    "guest-kernel/task/process_timer.cpp": "what a signal takes, see process_signal.cpp",
    "guest-kernel/task/process_trace.cpp": "what a signal takes, see process_signal.cpp",
    "host-tools/domain/machine.cpp": "libvirt keeps a pointer, and gives it back to be ended",
    "host-tools/faults/nbdkit/plugin.cpp": "nbdkit says when its plugin begins and ends",
    "qemu-plugins/plugin/main.cpp": "QEMU's callbacks may come until its process ends",
}


def ownership(files):
    """One owner frees: what `new` makes goes into an owner at once, and nobody says delete or free but the named ones."""
    ends = re.compile(r"(?<!operator )\bdelete\b(?:\[\])?\s*[\w*&(:]|(?<![\w.>:])(?:std::|::)?(?:malloc|calloc|realloc|free|strdup)\(|"
                      r"::operator delete\(")
    disposer = re.compile(r"\[\]\([\w:]+\* \w+\) \{ delete \w+; \}")
    makes = re.compile(r"(?<!operator )\bnew\b\s*(\((?:std::nothrow|std::align_val_t[^)]*\}, std::nothrow)\))?(?!\s*[(>,;)])")
    owner = re.compile(r"(adopt|reset|(unique|shared)_ptr<[^;]*>( \w+)?)[({][^;{]*$|\b\w+_\($")
    for path, text in files.items():
        if path.split("/")[0] not in ("guest-kernel", "host-tools", "qemu-plugins") or not path.endswith((".cpp", ".hpp")):
            continue
        if path in OWNERS:
            continue
        code = _code(text)
        lines = code.splitlines()
        for number, line in enumerate(lines, 1):
            is_deleter = re.search(r"\boperator\(\)\(", "\n".join(lines[max(0, number - 2):number]))
            is_declared = re.search(r"\b(void|bool) free\(", line)
            if ends.search(disposer.sub("", line)) and not (is_deleter or is_declared or "= delete" in line):
                yield f"{path}:{number}: ended by hand: let an owner's destructor do it, or name the owner in tests/house/rules.py"
        for found in makes.finditer(code):
            number = code.count("\n", 0, found.start()) + 1
            before = re.sub(r"\s+", " ", code[:found.start()][-300:].rsplit(";", 1)[-1])
            name = re.search(r"(\w+) = $", before)
            after = "\n".join(lines[number - 1:number + 10])
            is_taken = name and re.search(rf"(adopt\(|_ptr<[^;]*>( \w+)?[({{])(\*?){name[1]}[)}}]|Ref<[^;]*>\({name[1]}\)", after)
            if not owner.search(before) and not is_taken:
                yield f"{path}:{number}: made without an owner: adopt it, or give it to a std::unique_ptr, in the same place"
    yield from (f"tests/house/rules.py: {path} is named as an owner, and is not there" for path in OWNERS
                if path not in files and "guest-kernel/base/ref.hpp" in files)


TEXT_FUNCTIONS = (r"str(?:to[a-z]+|len|nlen|n?cmp|n?casecmp|n?cpy|n?cat|r?chr|str|dup|tok|c?spn|pbrk)|mem(?:cpy|move|set|r?chr|cmp|mem)|"
                  r"v?[sdf]?n?(?:printf|scanf)|ato[ifl]+|itoa|[ql]sort|bsearch")


def home_made(files):
    """No home-made copy of a function of the C library but those that the compiler itself calls."""
    define = re.compile(rf"^(?:[\w:<>,*&\[\] ]+[ *&])?(?:\w+::)*({TEXT_FUNCTIONS})\([^;{{}}]*\)[\w\s:<>>*&-]*\{{", re.M)
    for path, text in files.items():
        if path.split("/")[0] not in ("guest-kernel", "guest-programs", "host-tools", "qemu-plugins", "abi"):
            continue
        if not path.endswith((".c", ".cpp", ".h", ".hpp")):
            continue
        code = _code(text)
        for found in define.finditer(re.sub(r"^[ \t]+", "", code, flags=re.M)):
            if re.match(r"(return|else|if|while|for|switch|throw|case)\b", found[0]):
                continue
            if path == "guest-kernel/arch/x86_64/runtime.cpp" and found[1] in ("memcpy", "memmove", "memset", "memcmp", "memchr", "strlen"):
                continue
            yield f"{path}: defines {found[1]}: the standard library's would do"


def orders(files):
    """The kernel's atomics are pv::Atomic and pv::AtomicRef, of which no operation leaves its order out (house.orders)."""
    other = re.compile(r"\bstd::atomic(?!_thread_fence|_signal_fence)\w*|\b__(?:atomic|sync)_\w+|\b_Atomic\b|#\s*include\s*<(?:atomic|stdatomic\.h)>")
    for path, text in files.items():
        if path.startswith("guest-kernel/") and path.endswith((".cpp", ".hpp", ".c", ".h")) and path != "guest-kernel/base/atomic.hpp":
            code = _code(text)
            for found in other.finditer(code):
                number = code.count("\n", 0, found.start()) + 1
                yield f"{path}:{number}: {found[0]}: use base/atomic.hpp, whose operations state their orders"


def _rows(text):
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith("|"):
            yield number, [cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip()[1:-1])]


def named_tests(files, tests):
    """docs/ledger.md and docs/status.md name tests that exist. `tests`: name -> set of labels."""

    def complaints(path, number, names, label):
        for name in names:
            matching = [test for test in tests if fnmatch.fnmatchcase(test, name)]
            if not matching:
                yield f"{path}:{number}: no test is called {name}"
            elif label and not any(label in tests[test] for test in matching):
                yield f"{path}:{number}: {name} does not carry the label `{label}`"

    for number, cells in _rows(files["docs/ledger.md"]):
        if len(cells) != 5 or cells[0] in ("id", "---"):
            if len(cells) != 5:
                yield f"docs/ledger.md:{number}: {len(cells)} cells, expected 5"
            continue
        state, held_by, absent = cells[2:]
        names = re.findall(r"`([^`]+)`", held_by)
        if state not in ("held", "partial", "absent"):
            yield f"docs/ledger.md:{number}: state {state}, expected held, partial or absent"
        if state != "absent" and not names:
            yield f"docs/ledger.md:{number}: {cells[0]} is {state}, but no test is named"
        if state != "held" and not absent:
            yield f"docs/ledger.md:{number}: {cells[0]} is {state}, but nothing says what is missing"
        yield from complaints("docs/ledger.md", number, names, "ledger")
    for number, cells in _rows(files["docs/status.md"]):
        if len(cells) != 4 or cells[0] in ("feature", "---"):
            if len(cells) != 4:
                yield f"docs/status.md:{number}: {len(cells)} cells, expected 4"
            continue
        names = re.findall(r"`([^`]+)`", cells[2])
        if cells[1] not in ("works", "partial", "absent"):
            yield f"docs/status.md:{number}: state {cells[1]}, expected works, partial or absent"
        if cells[1] != "absent" and not names:
            yield f"docs/status.md:{number}: {cells[0]} {cells[1]}, but no test is named"
        if cells[1] != "works" and not cells[3]:
            yield f"docs/status.md:{number}: {cells[0]} is {cells[1]}, but nothing says what is missing"
        yield from complaints("docs/status.md", number, names, "")


def early_returns(files):
    """No PV_TRY behind another element of a braced list, for GCC leaves the elements before it alive when it returns; and none
    in what `new` makes, whose memory is there by then."""
    for path, text in files.items():
        if not path.endswith((".cpp", ".hpp")):
            continue
        blank = lambda found: re.sub(r"[^\n]", " ", found[0])  # noqa: E731: what is no code goes, places stay
        code = re.sub(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])+\'|^#(?:[^\n]*\\\n)*[^\n]*', blank, text, flags=re.S | re.M)
        code = re.sub(r"<[\w:, *&]*>", blank, code)
        opened = []  # of each bracket that is open: which, and whether a comma or the end of a statement was seen in it
        for found in re.finditer(r"[][(){},;]|\bPV_TRY\b", code):
            token = found[0]
            if token in "([{":
                fresh = re.search(r"\bnew\s*(\(std::nothrow\))?\s*[\w:]+\s*$", code[max(0, found.start() - 100):found.start()])
                opened.append(["new" if fresh else token, False, False])
            elif token in ")]}" and opened:
                opened.pop()
                if token == "}" and opened and opened[-1][0] == "{" and re.match(r"\s*[^\s,;)}.]", code[found.end():]):
                    opened[-1][1:] = [False, True]  # the end of a block, not of a list
            elif token == "," and opened:
                opened[-1][1] = True
            elif token == ";" and opened:
                opened[-1][1:] = [False, True]
            elif token == "PV_TRY" and any(kind == "new" or kind == "{" and comma and not ended for kind, comma, ended in opened):
                yield f"{path}:{code.count(chr(10), 0, found.start()) + 1}: PV_TRY behind an element of a braced list or in what new makes; give it a name first"


RULES = {
    "licences": licences,
    "lengths": lengths,
    "purposes": purposes,
    "places": places,
    "unfinished": markers_of_unfinished_work,
    "early-returns": early_returns,
    "arrows": arrows,
    "links": links,
    "packages": packages,
    "ownership": ownership,
    "home-made": home_made,
    "orders": orders,
}
