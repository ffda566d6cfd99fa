# Guests that end as few do, or not at all: triple fault, reset, panic, silence, endless output, escape sequences, false
# words on the console. The verdict says how each ended; nothing a guest prints acts on a terminal, a page or the tool.
# SPDX-License-Identifier: MIT
import os
import pty
import re
import select
import time
import unittest

from harness import BUILD, FAIL, INCOMPLETE, PASS, EndToEnd

GUEST = BUILD / "tests/e2e/bad-end-guest"
# What no output to a terminal may hold: controls but line ends, C1, overrides of direction.
ACTIVE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


class BadEnds(EndToEnd):
    def guest(self, command, way, *arguments, **options):
        return self.paravane(command, "--kernel", GUEST, "--append", way, *arguments, **options)

    def check(self, way, *arguments, **options):
        """Judges by a rule that needs nothing, so that the guest's end alone decides the verdict."""
        return self.guest("check", way, "--json", "--output", "t.db", "--rules", "mmio-unmapped", *arguments, **options)

    def assert_end(self, result, ended, status=None):
        self.assertEqual(result.json["guest_end"], {"ended": ended, "status": status, "wedged": None,
                                                    "text": ended if status is None else f"{ended}, status {status}"}, str(result))

    def test_triple_fault_and_reset(self):
        for way in ("triple-fault", "reset"):
            with self.subTest(way):
                result = self.check(way)
                self.assert_status(result, INCOMPLETE)
                # The reset's last line claims a status; only a guest that powers off has one.
                self.assert_end(result, "reset")
                self.assertIn("did not finish: reset", result.json["reason"])
                self.assert_error(self.guest("run", way), INCOMPLETE, "reset")

    def test_panic(self):
        result = self.check("panic")
        self.assert_status(result, INCOMPLETE)
        self.assert_end(result, "panicked")

    def test_silence(self):
        result = self.check("silent", "--timeout", "1s")
        self.assert_status(result, INCOMPLETE)
        self.assert_end(result, "ran out of time")
        self.assert_error(self.guest("run", "silent", "--timeout", "1s"), INCOMPLETE, "ran out of time", "--timeout 1s")

    def test_a_power_off_with_and_without_a_status(self):
        for way, ended, ran in (("status-seven", 7, FAIL), ("status-before", None, PASS)):
            with self.subTest(way):
                self.assert_end(self.check(way), "powered off", ended)
                self.assert_status(self.guest("run", way), ran)

    def test_endless_output(self):
        # The guest prints for as long as it is let; the tool keeps a bounded part and ends it in time.
        for way in ("flood", "endless-line"):
            with self.subTest(way):
                result = self.check(way, "--timeout", "2s", "--keep", self.folder / "kept", deadline=60)
                self.assert_status(result, INCOMPLETE)
                self.assert_end(result, "ran out of time")
                self.assertLess(result.seconds, 25)
                self.assertGreater((self.folder / "kept/console.txt").stat().st_size, 2_000)
                shown = self.paravane("query", "t.db", "--csv", "select length(value) from meta where key = 'console'")
                self.assertLessEqual(int(shown.stdout.split()[-1]), 64 * 1024)

    def test_escape_sequences_stay_text(self):
        result = self.guest("check", "escapes", "--output", "t.db", "--rules", "mmio-unmapped")
        self.assertIsNone(ACTIVE.search(result.stdout + result.stderr), str(result))
        answer = self.paravane("report", "t.db", "--json")
        self.assertIsNone(answer.json["guest_end"]["status"], "a number beyond all is none")
        self.assertTrue(answer.stdout.isascii())
        self.assert_status(self.paravane("report", "t.db", "--html", "r.html"), PASS)
        page = (self.folder / "r.html").read_text()
        self.assertIsNone(ACTIVE.search(page))
        self.assertNotIn("<script>alert(1)", page)
        self.assertIn("\\\\x1b[31mred", page)
        shown = self.paravane("query", "t.db", "select value from meta where key = 'console'")
        self.assertIn("\\x1b[31mred", shown.stdout)
        self.assertIsNone(ACTIVE.search(shown.stdout), str(shown))

    def on_a_terminal(self, *arguments):
        """What `paravane run` writes when its output is a terminal."""
        mine, theirs = pty.openpty()
        process = self.place.start("run", "--kernel", GUEST, "--append", "escapes", *arguments, stdout=theirs)
        os.close(theirs)
        shown, end = b"", time.monotonic() + 60
        while time.monotonic() < end:
            if select.select([mine], [], [], 1)[0]:
                try:
                    got = os.read(mine, 65536)
                except OSError:
                    break
                if not got:
                    break
                shown += got
        process.communicate(timeout=30)
        os.close(mine)
        return shown

    def test_a_terminal_obeys_no_guest(self):
        shown = self.on_a_terminal()
        self.assertIn(b"\\x1b[31mred", shown)
        # A shell's line editing needs backspace and carriage return; they reach no further than their line.
        self.assertIsNone(ACTIVE.search(shown.decode("utf-8").replace("\b", "")), shown)
        self.assertIn(b"\x1b[31mred", self.on_a_terminal("--raw"), "--raw is for who trusts the guest")


if __name__ == "__main__":
    unittest.main()
