# What only our kernel is asked: no program without random bytes, and one that uses up everything ends alone.
# SPDX-License-Identifier: MIT
#
# usage: test_containment.py KERNEL DRIVER PROGRAMS [unittest's arguments]
import argparse
import json
import os
import pathlib
import re
import socket
import sys
import tempfile
import time
import unittest

import run


class Guest(unittest.TestCase):
    def boot(self, programs=(), smp=1, memory="256M", more=(), append="", deadline=200, beside=None):
        options = argparse.Namespace(kernel=KERNEL, driver=DRIVER, programs=[os.path.join(PROGRAMS, name) for name in programs],
                                     memory=memory, append=append, deadline=deadline)
        console, ended = run.on_paravane(options, smp, more, beside)
        self.assertTrue(ended, "\n".join(console))
        return console


class Entropy(Guest):
    """LEDGER H7. This processor model has neither RDRAND nor RDSEED."""

    def test_without_a_source_no_program_starts(self):
        console = self.boot(more=("-cpu", "qemu64"))
        self.assertTrue(any("nothing gives random bytes" in line for line in console), "\n".join(console))
        self.assertNotIn("== end", console)
        self.assertEqual(console[-1], "paravane: powering off, status 127")

    def test_a_device_is_a_source(self):
        console = self.boot(more=("-cpu", "qemu64", "-device", "virtio-rng-pci,disable-legacy=on"))
        self.assertIn("== end", console)
        self.assertEqual(console[-1], "paravane: powering off, status 0")


class Walls(Guest):
    """LEDGER C18: nothing is writable and executable. R8: nothing lies where it lay the last time."""

    def test_rights_and_places(self):
        console = self.boot(["walls"])
        shown = "\n".join(console)
        for what in ("mmap", "mprotect", "mprotect of data", "a segment"):
            self.assertIn(f"{what}: EACCES", console, shown)
        self.assertTrue(any("walls[" in line and "memory that is writable and executable is refused" in line for line in console), shown)
        note = "paravane: note: walls asked for memory that is writable and executable, and was refused: writable-code"
        self.assertIn(note, console[-3:], shown)
        places = [re.findall(r"0x[0-9a-f]+", line) for line in console if line.startswith("stack ")]
        self.assertEqual(len(places), 8, shown)
        for what, column in zip(("stack", "mapping", "heap", "data"), zip(*places)):
            self.assertEqual(len(set(column)), 8, f"{what}: {column}")

    def test_what_is_granted(self):
        """For compilers inside programs: allowed for all by a word on the command line, and for nobody without it."""
        console = self.boot(["walls"], append="writable-code=allow")
        shown = "\n".join(console)
        for what in ("mmap", "mprotect", "mprotect of data", "a segment"):
            self.assertIn(f"{what}: ALLOWED", console, shown)
        self.assertIn("made and run: 42", console, shown)
        self.assertFalse(any("executable is refused" in line or "note:" in line for line in console), shown)


class Astray(Guest):
    """What comes at any moment (an NMI) finds its processor whatever a program put into %gs."""

    def test_nmi_at_a_program_with_a_base_like_the_kernels(self):
        with tempfile.TemporaryDirectory(prefix="pv-nmi-") as folder:
            path = os.path.join(folder, "qmp")

            def interrupt(console):
                end = time.monotonic() + 60
                while time.monotonic() < end and not (
                        os.path.exists(console) and b"astray: 0" in pathlib.Path(console).read_bytes()):
                    time.sleep(0.05)
                with socket.socket(socket.AF_UNIX) as monitor:
                    monitor.connect(path)
                    for command in ("qmp_capabilities", "inject-nmi"):
                        monitor.sendall(json.dumps({"execute": command}).encode())
                    while monitor.recv(4096):  # until QEMU ends
                        pass

            console = self.boot(["astray"], deadline=15, more=("-qmp", f"unix:{path},server=on,wait=off"), beside=interrupt)
        self.assertTrue(any("panic: non-maskable interrupt" in line for line in console), "\n".join(console))


class Roots(Guest):
    """LEDGER O5: a directory kept from outside, or moved there, leads nowhere from within a root; on Linux both lead out."""

    def test_what_was_kept_leads_nowhere(self):
        console = self.boot(["kept"], 4)
        words = [line for line in console if not run.KERNEL_LINE.match(line)]
        shut_in = ["shut in: 0", "into it: 0"]
        self.assertEqual(words, [
            "== kept", *shut_in, "the parent's root: ENOENT", "the parent's directory: ENOENT",
            "..: ENOENT", "../..: ENOENT", "../outside/secret: ENOENT", "into what was kept: 0", "..: ENOENT", "up: ENOENT",
            "a root there: ENOENT", "the root: the root", "back: 0", "a root below: 0", "what was the root: 0", "..: ENOENT",
            "../../../../../..: ENOENT", "a root above: ENOENT", "/..: the root's a",
            *shut_in, "..: the root's a/b", "moved away: 0", ".: the root's a/b/c", "..: ENOENT", "../../../../../..: ENOENT",
            "/a/b/c: ENOENT", "moved back: 0", *shut_in, "while it moves: the root: yes, elsewhere: 0", "== status 0", "== end"],
            "\n".join(console))


class Messages(Guest):
    """LEDGER R10: what processes say to one another is traced, for who asks and may."""

    def test_parent_and_child(self):
        for smp in (1, 4):
            with self.subTest(smp):
                console = self.boot(["messages"], smp)
                words = [line for line in console if not run.KERNEL_LINE.match(line)]
                told = words[words.index("status: 7") + 1:words.index("in order: 1")]
                # Of what does not wait for the other one only the order among its own is certain.
                self.assertEqual(sorted(told), sorted([
                    "parent sends - pipe the pipe 11", "child receives - pipe the pipe 11",
                    "parent sends - socket the child's 8", "child receives - socket the child's 5",
                    "child sends - socket the parent's 6", "parent receives - socket the parent's 6",
                    "parent sends child signal User defined signal 1 1", "child receives - signal User defined signal 1 1",
                    "parent sends child signal User defined signal 2 1", "child receives - signal User defined signal 2 1",
                    "parent sends - futex a word 1", "child receives - futex a word 1"]), "\n".join(console))
                for channel in ("pipe", "socket the child's", "socket the parent's", "signal User defined signal 1",
                                "signal User defined signal 2", "futex"):
                    does = [line.split()[1] for line in told if f" {channel}" in line]
                    self.assertEqual(does, ["sends", "receives"], "\n".join(console))
                self.assertEqual(words[words.index("in order: 1") + 1:], [
                    "off: 3", "in order: 1", "another user: 0", "looks: EACCES", "on: EACCES", "== status 0", "== end"],
                    "\n".join(console))


class Priorities(Guest):
    """Limits of priorities and niceness, which not everybody may raise on this machine: these are Linux's answers (6.1)."""

    def test_what_limits_let_somebody_do(self):
        console = self.boot(["raised"], 4)
        words = [line for line in console if not run.KERNEL_LINE.match(line)]
        self.assertEqual(words, [
            "== raised", "limits 0 0, 0 0", "up to the limit: 0", "beyond: EPERM", "below: 0", "up again: 0",
            "as it is, beyond the limit now: 0", "less, beyond the limit: 0", "another policy, beyond the limit: 0", "more: EPERM",
            "another policy, without a limit: EPERM", "less: 0", "none for children: 0", "for children: EPERM", "idle: 0",
            "usual: EPERM", "usual, one short: EPERM", "usual, at the limit: 0", "less nice: EACCES", "up to the limit: 0",
            "beyond: EACCES", "nicer: 0", "back: 0", "== status 0", "== end"], "\n".join(console))


class TimeOfDay(Guest):
    """What is set is what everybody reads from then on, by a call or without one."""

    def test_set_while_others_read(self):
        console = self.boot(["settime"], 4)
        self.assertIn("settings refused 0, not seen at once 0, backwards 0, all added 1", console, "\n".join(console))
        self.assertIn("== status 0", console)


class Exhaustion(Guest):
    """LEDGER C2: at the end of memory and of processes the one that asks gets the error, others go on, later calls succeed."""

    def check(self, smp):
        console = self.boot(["exhaust"], smp, "96M")
        shown = "\n".join(console)
        words = [line for line in console if not run.KERNEL_LINE.match(line)]
        hogs = ["hog: signal 9", "hog: signal 9", "bystander: exit 23"]
        many = ["many processes: yes, then EAGAIN", "all ended: yes", "afterwards: done"]
        timers = ["many timers: yes, then EAGAIN", "a timer of another: done", "one is given back: done", "and may be had: yes"]
        messages = [line for kind in ("datagrams", "packets")
                    for line in (f"{kind}: some, then EAGAIN", "of others: done", "all arrive: yes", "and more: done")]
        self.assertEqual(words, ["== exhaust", *hogs, "in a call: signal 9", "a file: ENOSPC", *timers, *messages, *many, *hogs, *hogs, *many,
                                 "memory is as it was: yes", "== status 0", "== end"], shown)
        # Whom, for whom and why is said, once for each that ended; nobody else did.
        told = [line for line in console if "memory: none is left for" in line]
        self.assertEqual(len(told), 7, shown)
        for line in told:
            self.assertRegex(line, r"(hog (one|two)|caller)\[\d+\] ends, which holds most: \d+ pages$")

    def test_one_processor(self):
        self.check(1)

    def test_four_processors(self):
        self.check(4)


class LargePages(Guest):
    """Memory comes in pages of 2 MiB where that costs nobody anything, and goes back whatever became of its parts."""

    def test_when_and_how_long(self):
        for smp in 1, 4:
            console = self.boot(["sizes"], smp, "96M")
            words = [line for line in console if not run.KERNEL_LINE.match(line)]
            self.assertEqual(words, [
                "== sizes", "only read: 0", "three of four written first: 6144 kB", "of all: 6144 kB", "one of them read-only: 6144 kB",
                "and written again: 6144 kB", "a page of one read-only: 4096 kB", "a page of another unmapped: 2048 kB",
                "in a child: 0 kB", "after a child: 0 kB", "dropped and written: 2048 kB", "unmapped: 0 kB", "not wanted: 0 kB",
                "switched off: 0 kB", "switched on: 2048 kB", "shared: 2048 kB", "a page not for children: 0 kB", "wishes: 0", "unadvised: 0", "advised: 2048",
                "scarce: 0", "lost: nothing", "== status 0", "== end"], "\n".join(console))


class Travels(Guest):
    """Who left a processor that has nothing to do since interrupts it once for its memory, and no more."""

    def test_few_shootdowns(self):
        for smp in 1, 4:
            console = self.boot(["travels"], smp)
            words = [line for line in console if not run.KERNEL_LINE.match(line)]
            asked = ["others were asked at the first change: yes"] if smp > 1 else []
            self.assertEqual(words, ["== travels", "counted: yes", *asked, "== status 0", "== end"], "\n".join(console))


class LoadAverages(Guest):
    """What is sampled where nobody asks: two threads that always run count as two."""

    def test_two_who_run(self):
        console = self.boot(["wants"], 1)
        words = [line for line in console if not run.KERNEL_LINE.match(line)]
        self.assertEqual(words, ["== wants", "risen by two: yes", "sysinfo: 0", "it tells the same: yes", "== status 0", "== end"],
                         "\n".join(console))


class Pings(Guest):
    """Echo sockets answer as Linux's do where they are allowed: it was asked with ping_group_range wide open."""

    EACH = [
        "the other's protocol: EPROTONOSUPPORT", "a stream: EPROTONOSUPPORT", "a socket: done", "nowhere: EDESTADDRREQ", "too short: EINVAL",
        "something else: EINVAL", "nothing there: EAGAIN", "sent: 32", "has an identifier: 1", "ready: 1", "received: 32", "a reply: 1", "to this: 1",
        "which: 7", "with: 0", "from: 127.0.0.1 0", "hops: -1", "tell hops: 0", "fewer: 0", "sent again: 32", "ready: 1", "received again: 32",
        "a reply: 1", "to this: 1", "which: 8", "with: 0", "from: 127.0.0.1 0", "hops: 64", "an identifier: 0", "which: 4711", "twice: EINVAL",
        "connected: 0", "to the peer: 32", "ready: 1", "from the peer: 32", "a reply: 1", "to this: 1", "which: 9", "with: 0", "from: 127.0.0.1 0",
        "hops: -1", "not for the first: EAGAIN", "the first sends: 32", "ready: 1", "not for the other: 32", "a reply: 1", "to this: 1", "which: 10",
        "with: 0", "from: 127.0.0.1 0", "hops: 64",
    ]

    def test_as_on_linux(self):
        for smp in 1, 4:
            console = self.boot(["pings"], smp)
            words = [line for line in console if not run.KERNEL_LINE.match(line)]
            six = [line.replace("127.0.0.1", "::1") for line in self.EACH]
            self.assertEqual(words, ["== pings", "== four", *self.EACH, "== six", *six, "== status 0", "== end"], "\n".join(console))


class Multitude(Guest):
    """LEDGER R2: nothing has a fixed size. R7: nothing that a program does a million times leaves something behind."""

    def test_many_at_once_and_many_in_turn(self):
        console = self.boot(["multitude"], 4, "2G", deadline=800)
        words = [line for line in console if not run.KERNEL_LINE.match(line)]
        processes = "10000 processes at once, 10000 of them ended well"
        descriptors = "100000 descriptors at once, 100000 of them closed"
        self.assertEqual(words, ["== multitude", processes, descriptors, processes, "processes: memory is as it was", descriptors,
                                 "descriptors: memory is as it was", "1000000 opened and closed", "opens: memory is as it was",
                                 "100000 born and ended", "births: memory is as it was", "== status 0", "== end"], "\n".join(console))


if __name__ == "__main__":
    KERNEL, DRIVER, PROGRAMS = sys.argv[1:4]
    unittest.main(argv=sys.argv[:1] + sys.argv[4:])
