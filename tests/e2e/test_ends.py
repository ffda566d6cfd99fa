# Runs that are ended from outside: by signals at several moments, by SIGKILL to the command or to QEMU, by --timeout, with
# a QEMU that is wedged; and our kernel's panic. Each time the status, one clear line where one is due, a trace that can be
# read up to there, and (EndToEnd checks it after each test) no process and no file left. What guests do to end a run, or
# not to, is in test_bad_ends.py.
# SPDX-License-Identifier: MIT
import os
import re
import signal
import subprocess
import time
import unittest

from harness import BUILD, FAIL, INCOMPLETE, INTERRUPTED, LIBRARY, PASS, TWO_DISKS, EndToEnd, processes_of

# A guest that works for as long as it is let, and one whose disk holds it.
BUSY = ("--append", "exercise=rounds:100000,blocks:4096,limit:120s")
STALLED = ("--append", "exercise=threads:2,blocks:64,deadline:60s", "--fault", "stall disk0 read after 5 for 600s")
# What our kernel says when its disks are there and the exercise begins, and when a read was held for a while.
WORKS = r"virtio-blk0: \d+ blocks"
WAITS = r"nvme0\S*: .* waits .* on queue"
PAUSE = 0.02


class Ends(EndToEnd):
    def wait_until(self, process, condition, what, seconds=60, pause=PAUSE):
        end = time.monotonic() + seconds
        while not condition():
            if process.poll() is not None:
                _, errors = process.communicate()
                self.fail(f"ended with {process.returncode} before {what}: {errors}")
            if time.monotonic() > end:
                process.kill()
                process.communicate()
                self.fail(f"not within {seconds} s: {what}; the console says {self.console()[-2000:]}")
            time.sleep(pause)

    def processes(self, word):
        return [pid for pid, text in processes_of(self.place.mark, self.place.temporary).items() if word in text]

    def console(self):
        """What the guest printed so far: the command's own file, while it runs."""
        for file in self.place.temporary.glob("*/console.txt"):
            try:
                return file.read_text(errors="replace")
            except OSError:
                pass
        return ""

    def says(self, words):
        return re.search(words, self.console()) is not None

    def trace_is_readable(self, least_events=1):
        shown = self.paravane("query", "t.db", "--csv", "select count(*) from event")
        self.assert_status(shown, PASS)
        self.assertGreaterEqual(int(shown.stdout.split()[-1]), least_events)

    def finish(self, process, seconds=30):
        began = time.monotonic()
        try:
            output, errors = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            self.fail(f"did not end within {seconds} s of its signal")
        return process.returncode, output, errors, time.monotonic() - began


class Signals(Ends):
    # When a signal comes: as soon as the command catches it (before its first instruction of ours, the default action is
    # the right one), when QEMU was started, when the guest works, when a fault holds its disk.
    def reach(self, process, moment, number=signal.SIGINT):
        conditions = {
            "at once": lambda: self.catches(process.pid, number),
            "with QEMU": lambda: self.processes("qemu-system") != [],
            "at work": lambda: self.says(WORKS),
            "stalled": lambda: self.says(WAITS),
        }
        self.wait_until(process, conditions[moment], moment)

    def interrupted(self, number, status, command, moment):
        process = self.place.start(*command)
        self.reach(process, moment, number)
        process.send_signal(number)
        code, _, errors, _ = self.finish(process)
        lines = [line for line in errors.splitlines() if line]
        self.assertEqual(code, status, errors)
        self.assertEqual(len([line for line in lines if line.startswith("paravane: ")]), 1, errors)
        self.assertIn("interrupted", errors)
        return errors

    @staticmethod
    def catches(pid, number):
        try:
            with open(f"/proc/{pid}/status", encoding="ascii") as file:
                caught = next(line for line in file if line.startswith("SigCgt:"))
        except (OSError, StopIteration):
            return False
        return int(caught.split()[1], 16) >> (number - 1) & 1 == 1

    def test_interrupt_at_each_moment_of_a_check(self):
        for moment in ("at once", "with QEMU", "at work"):
            with self.subTest(moment):
                self.interrupted(signal.SIGINT, INTERRUPTED, ("check", "--output", "t.db", *BUSY), moment)
        self.trace_is_readable(100)

    def test_terminate_ends_run_and_record(self):
        for command in (("run", *BUSY), ("record", "--output", "t.db", *BUSY)):
            with self.subTest(command[0]):
                self.interrupted(signal.SIGTERM, 128 + signal.SIGTERM, command, "at work")
        self.trace_is_readable(100)

    def test_interrupt_while_a_fault_holds_the_disk(self):
        process = self.place.start("check", "--output", "t.db", *TWO_DISKS, *STALLED)
        self.reach(process, "stalled")
        process.send_signal(signal.SIGINT)
        code, _, errors, seconds = self.finish(process)
        self.assertEqual(code, INTERRUPTED, errors)
        self.assertLess(seconds, 25)
        self.trace_is_readable(100)

    def test_a_second_interrupt_ends_it_all_the_same(self):
        process = self.place.start("check", "--output", "t.db", *TWO_DISKS, *STALLED)
        self.reach(process, "stalled")
        process.send_signal(signal.SIGINT)
        time.sleep(0.2)
        process.send_signal(signal.SIGINT)
        code, _, errors, _ = self.finish(process)
        self.assertEqual(code, INTERRUPTED, errors)

    def test_killed_leaves_nothing(self):
        # The guardian ends what the command started; leftovers() allows it five seconds.
        for command in (("check", "--output", "t.db", *BUSY), ("run", *BUSY)):
            for moment in ("with QEMU", "at work"):
                with self.subTest(command=command[0], moment=moment):
                    process = self.place.start(*command)
                    self.reach(process, moment)
                    process.kill()
                    process.communicate()
                    self.assertEqual(self.place.leftovers(), [])
        self.trace_is_readable(0)

    def test_whoever_reads_the_console_goes_away(self):
        # The guest goes on (an appliance outlives a terminal), and still ends when told to.
        process = self.place.start("run", *BUSY)
        process.stdout.close()
        process.stdout = None
        self.reach(process, "at work")
        process.send_signal(signal.SIGTERM)
        code, _, errors, _ = self.finish(process)
        self.assertEqual(code, 128 + signal.SIGTERM, errors)


class Judging(Ends):
    def read(self, pid):
        """Bytes the process read so far."""
        with open(f"/proc/{pid}/io", encoding="ascii") as file:
            return int(file.readline().split()[1])

    def results(self):
        return self.paravane("query", "t.db", "--csv", "select rule, outcome, observed, findings from rule_result order by rule").stdout

    def test_interrupt_while_a_trace_of_a_million_events_is_judged(self):
        subprocess.run([BUILD / "tests/pv_report_sample", "large", "t.db", LIBRARY / "report/page.html", "r.html"], cwd=self.folder, check=True)
        before = self.results()
        self.assertIn("dma-after-unmap,broken", before)
        process = self.place.start("analyze", "t.db")
        # The trace has 27 MB; what comes before its events is far less than two.
        self.wait_until(process, lambda: self.read(process.pid) > 2_000_000, "judging", pause=0.001)
        process.send_signal(signal.SIGSTOP)
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGCONT)
        code, output, errors, _ = self.finish(process)
        self.assertEqual((code, output), (INTERRUPTED, ""), errors)
        self.assertEqual([line for line in errors.splitlines() if line.startswith("paravane: ")], ["paravane: error: interrupted (Interrupt)"], errors)
        self.assertEqual(self.results(), before, "the results it had stay")
        again = self.paravane("analyze", "t.db")
        self.assert_status(again, FAIL)
        self.assertNotEqual(self.results(), before)


class Guests(Ends):
    def test_a_guest_that_never_ends(self):
        result = self.paravane("check", "--output", "t.db", "--timeout", "4s", *BUSY)
        self.assert_status(result, INCOMPLETE)
        self.assertIn("\n  the guest ran out of time\n", result.stdout)
        self.assertLess(result.seconds, 25)
        self.trace_is_readable(100)

    def test_a_guest_that_panics(self):
        result = self.paravane("check", "--output", "t.db", "--kernel", LIBRARY / "paravane-kernel-test.elf",
                               "--append", "test=null_dereference")
        self.assert_status(result, INCOMPLETE)  # no disk: rules without evidence
        self.assertIn("\n  the guest powered off, status 255\n", result.stdout)
        self.trace_is_readable(10)

    def test_a_qemu_that_is_killed(self):
        process = self.place.start("check", "--output", "t.db", *BUSY)
        self.wait_until(process, lambda: self.says(WORKS), "at work")
        os.kill(self.processes("qemu-system")[0], signal.SIGKILL)
        code, output, errors, _ = self.finish(process)
        self.assertEqual(code, INCOMPLETE, output + errors)
        self.assertIn("\n  the guest lost its QEMU\n", output)
        self.trace_is_readable(100)

    def test_wedged_in_drain(self):
        result = self.paravane("check", "--output", "t.db", *TWO_DISKS, "--timeout", "8s",
                               "--fault", "stall disk0 read after 20 for 600s")
        self.assert_status(result, INCOMPLETE)
        self.assertIn("\n  the guest ran out of time, wedged in drain: ", result.stdout)
        self.assertLess(result.seconds, 40)
        self.trace_is_readable(100)


if __name__ == "__main__":
    unittest.main()
