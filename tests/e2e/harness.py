# What the end-to-end tests share: running the command as a person would, in a folder of the test's own, within a deadline.
# SPDX-License-Identifier: MIT
#
# Every test ends by checking that nothing it started lives and that the command left nothing in its temporary folder.
import json
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import time
import unittest
import uuid

SOURCE = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("PV_BUILD", SOURCE / "build/dev"))
PARAVANE = BUILD / "bin/paravane"
LIBRARY = BUILD / "lib/paravane"
DEBIAN = SOURCE / "build/guests/debian"

# Runs end before CTest ends the test: what a guest that hangs has said is worth more than the word "Timeout".
BEGAN = time.monotonic()
LIMIT = float(os.environ.get("PV_TEST_SECONDS", "3600"))
TO_REPORT = 20  # seconds

LONGEST_TMPDIR = 28  # characters (host-tools/domain/scratch.cpp)

PASS, FAIL, USAGE, INCOMPLETE, UNAVAILABLE, INTERRUPTED = 0, 1, 2, 3, 4, 130

RULES = ("dma-outside-mapping", "dma-after-unmap", "dma-direction", "dma-leak", "dma-double-map", "dma-protected", "dma-descriptor",
         "mmio-unmapped", "mmio-width", "mmio-order", "mmio-doorbell", "mmio-poll-unbounded", "cmd-deadline", "cmd-lost", "cmd-duplicate",
         "cmd-late", "flush-order", "wait-unbounded")

DEBIAN_GUEST = ("--kernel", str(DEBIAN / "vmlinuz"), "--initrd", str(DEBIAN / "initrd"))
TWO_DISKS = ("--disk", "nvme:64M", "--disk", "virtio-blk:64M")


def seconds_left():
    """For the rest of this test's entry in CTest, what it takes to report a failure not counted."""
    return max(1.0, LIMIT - TO_REPORT - (time.monotonic() - BEGAN))


class Result:
    """What a run of the command gave: status, stdout, stderr, seconds."""

    def __init__(self, arguments, status, stdout, stderr, seconds):
        self.arguments, self.status, self.stdout, self.stderr, self.seconds = arguments, status, stdout, stderr, seconds

    def __str__(self):
        return (f"paravane {' '.join(self.arguments)}\nstatus {self.status} after {self.seconds:.1f} s\n"
                f"--- stdout\n{self.stdout[-6000:]}\n--- stderr\n{self.stderr[-3000:]}")

    @property
    def json(self):
        try:
            return json.loads(self.stdout)
        except ValueError as error:
            raise AssertionError(f"not JSON: {error}\n{self}") from error

    def rules(self, outcome):
        return {rule["rule"] for rule in self.json["rules"] if rule["outcome"] == outcome}


def processes_of(mark, folder):
    """Living processes of a test: by the mark in their environment (libvirt passes only TMPDIR on), or by their arguments."""
    found = {}
    for entry in pathlib.Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            environment = (entry / "environ").read_bytes().split(b"\0")
            arguments = (entry / "cmdline").read_bytes()
        except OSError:
            continue
        if f"PV_E2E={mark}".encode() in environment or f"TMPDIR={folder}".encode() in environment or f"{folder}/".encode() in arguments:
            found[int(entry.name)] = arguments.replace(b"\0", b" ").decode("utf-8", "replace")[:200]
    return found


class Workplace:
    """A temporary folder, and the command run in it."""

    def __init__(self):
        self.mark = uuid.uuid4().hex
        # Two folders: what the test asks for (folder), and what the command uses for itself (temporary). UNIX sockets lie
        # in the second: with a longer path the command would use /tmp, and the tests would look at the wrong place.
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="e"))
        self.temporary = self.folder / "t"
        self.temporary.mkdir()
        if len(str(self.temporary)) > LONGEST_TMPDIR:
            raise AssertionError(f"{self.temporary} is too long for what the command keeps there: set TMPDIR to a shorter path")

    def environment(self, **changes):
        environment = {**os.environ, "TMPDIR": str(self.temporary), "PV_E2E": self.mark}
        for name, value in changes.items():
            if value is None:
                environment.pop(name, None)
            else:
                environment[name] = value
        return environment

    def start(self, *arguments, program=PARAVANE, environment=None, **options):
        options = {"stdout": subprocess.PIPE, **options}
        return subprocess.Popen([str(program), *map(str, arguments)], cwd=self.folder, env=environment or self.environment(),
                                stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
                                errors="replace", start_new_session=True, **options)

    def run(self, *arguments, deadline=120, **options):
        began = time.monotonic()
        process = self.start(*arguments, **options)
        try:
            stdout, stderr = process.communicate(timeout=min(deadline, seconds_left()))
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            stdout, stderr = process.communicate()
            raise AssertionError("did not end within its deadline\n" +
                                 str(Result(list(map(str, arguments)), None, stdout, stderr, deadline))) from None
        return Result(list(map(str, arguments)), process.returncode, stdout, stderr, time.monotonic() - began)

    def leftovers(self):
        """What is still there after the command ended; a dying process gets a moment."""
        for _ in range(20):
            alive = processes_of(self.mark, self.temporary)
            if not alive:
                break
            time.sleep(0.25)
        left = [f"process {pid}: {text}" for pid, text in alive.items()]
        left += [f"file {path}" for path in self.temporary.rglob("*")]
        return left

    def close(self):
        left = self.leftovers()
        for pid in processes_of(self.mark, self.temporary):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        shutil.rmtree(self.folder, ignore_errors=True)
        if left:
            raise AssertionError("left behind:\n" + "\n".join(left))


class EndToEnd(unittest.TestCase):
    """A test with a workplace of its own."""

    def setUp(self):
        self.place = Workplace()
        self.addCleanup(self.place.close)

    @property
    def folder(self):
        return self.place.folder

    def paravane(self, *arguments, **options):
        return self.place.run(*arguments, **options)

    def assert_status(self, result, status):
        self.assertEqual(result.status, status, str(result))

    def assert_error(self, result, status, *words):
        """One clear line, one hint, nothing on stdout, no crash."""
        self.assert_status(result, status)
        lines = result.stderr.strip().splitlines()
        errors = [line for line in lines if line.startswith("paravane: error: ")]
        hints = [line for line in lines if line.startswith("hint: ")]
        self.assertEqual((len(errors), len(hints)), (1, 1), str(result))
        for word in words:
            self.assertIn(word.lower(), (errors[0] + hints[0]).lower(), str(result))
