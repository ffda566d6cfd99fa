# Every way a run ends: interrupted, killed, out of time, by a guest that panics, resets, never ends, or floods its
# console; by a QEMU that is wedged. Each time the right status, one clear line, a trace that can be read up to there, and
# (EndToEnd checks it after each test) no process and no file left.
# SPDX-License-Identifier: MIT
import signal
import subprocess
import time
import unittest

from harness import INCOMPLETE, INTERRUPTED, LIBRARY, PASS, TWO_DISKS, EndToEnd, processes_of

# A guest that works for as long as it is let, and one whose disk holds it.
BUSY = ("--append", "exercise=rounds:100000,blocks:4096,limit:120s")
STALLED = ("--append", "exercise=threads:2,blocks:64,deadline:60s", "--fault", "stall disk0 read after 5 for 600s")
PAUSE = 0.02


class Ends(EndToEnd):
    def wait_until(self, process, condition, what, seconds=60):
        end = time.monotonic() + seconds
        while not condition():
            if process.poll() is not None:
                _, errors = process.communicate()
                self.fail(f"ended with {process.returncode} before {what}: {errors}")
            if time.monotonic() > end:
                process.kill()
                self.fail(f"not within {seconds} s: {what}")
            time.sleep(PAUSE)

    def has_process(self, word):
        return any(word in text for text in processes_of(self.place.mark, self.place.temporary).values())

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
    # When a signal comes: as soon as the command runs, when QEMU was started, when the guest works.
    def moments(self, process):
        return {
            "at once": lambda: True,
            "with QEMU": lambda: self.has_process("qemu-system"),
            "at work": lambda: self.has_process("qemu-system") and time.monotonic() - self.began > 2.5,
        }

    def interrupted(self, number, status, command, moment):
        process = self.place.start(*command)
        self.began = time.monotonic()
        if moment != "at once":
            self.wait_until(process, self.moments(process)[moment], moment)
        else:
            # Before its first instruction of ours, the default action is the right one.
            self.wait_until(process, lambda: self.catches(process.pid, number), "catches signals")
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
        self.began = time.monotonic()
        self.wait_until(process, lambda: self.has_process("qemu-system") and time.monotonic() - self.began > 3, "stalled")
        process.send_signal(signal.SIGINT)
        code, _, errors, seconds = self.finish(process)
        self.assertEqual(code, INTERRUPTED, errors)
        self.assertLess(seconds, 25)
        self.trace_is_readable(100)

    def test_a_second_interrupt_ends_it_all_the_same(self):
        process = self.place.start("check", "--output", "t.db", *TWO_DISKS, *STALLED)
        self.began = time.monotonic()
        self.wait_until(process, lambda: self.has_process("qemu-system") and time.monotonic() - self.began > 2.5, "stalled")
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
                    self.began = time.monotonic()
                    self.wait_until(process, self.moments(process)[moment], moment)
                    process.kill()
                    process.communicate()
                    self.assertEqual(self.place.leftovers(), [])
        self.trace_is_readable(0)

    def test_whoever_reads_the_console_goes_away(self):
        # The guest goes on (an appliance outlives a terminal), and still ends when told to.
        process = self.place.start("run", *BUSY)
        process.stdout.close()
        process.stdout = None
        self.began = time.monotonic()
        self.wait_until(process, self.moments(process)["at work"], "at work")
        process.send_signal(signal.SIGTERM)
        code, _, errors, _ = self.finish(process)
        self.assertEqual(code, 128 + signal.SIGTERM, errors)


class Guests(Ends):
    def test_a_guest_that_never_ends(self):
        result = self.paravane("check", "--output", "t.db", "--timeout", "4s", *BUSY)
        self.assert_status(result, INCOMPLETE)
        self.assertIn("time", result.stdout)
        self.assertLess(result.seconds, 25)
        self.trace_is_readable(100)

    def test_a_guest_that_panics(self):
        result = self.paravane("check", "--output", "t.db", "--kernel", LIBRARY / "paravane-kernel-test.elf",
                               "--append", "test=null_dereference")
        self.assertIn(result.status, (1, INCOMPLETE), str(result))
        self.assertNotIn("verdict: pass", result.stdout)
        self.trace_is_readable(10)

    def test_wedged_in_drain(self):
        result = self.paravane("check", "--output", "t.db", *TWO_DISKS, "--timeout", "8s",
                               "--fault", "stall disk0 read after 20 for 600s")
        self.assert_status(result, INCOMPLETE)
        self.assertIn("wedged in drain", result.stdout + result.stderr)
        self.assertLess(result.seconds, 40)
        self.trace_is_readable(100)


if __name__ == "__main__":
    unittest.main()
