# Faults under our own kernel: its threads get their errors in time, nothing else hangs, and the run ends with a verdict.
# SPDX-License-Identifier: MIT
import unittest

from harness import TWO_DISKS, EndToEnd


class OurKernel(EndToEnd):
    def check(self, fault, append="exercise=threads:2,blocks:64,deadline:1s", **keywords):
        return self.paravane("check", "--json", "--output", "t.db", "--append", append, *TWO_DISKS, "--fault", fault, **keywords)

    def outcome(self, result):
        return {rule["rule"]: rule["outcome"] for rule in result.json["rules"]}

    def test_stalled_read_times_out_and_everything_ends(self):
        for disk, device in (("disk0", "nvme"), ("disk1", "virtio-blk")):
            with self.subTest(device):
                result = self.check(f"stall {disk} read after 5 for 4s")
                outcome = self.outcome(result)
                self.assertEqual(result.json["findings"], [], str(result))
                self.assertEqual(outcome["cmd-deadline"], "held", str(result))
                what = [(entry["device"], entry["what"]) for entry in result.json["timeline"]]
                self.assertTrue(any(name == disk and "timeout" in step for name, step in what), what)
                shown = self.paravane("query", "t.db", "--csv", "select count(*) from marker_command_timeout")
                self.assertGreater(int(shown.stdout.split()[-1]), 0)
                # The other disk went on meanwhile.
                other = "disk1" if disk == "disk0" else "disk0"
                self.assertFalse(any(name == other and "timeout" in step for name, step in what), what)

    def recovery(self, append, fault):
        result = self.paravane("check", "--json", "--output", "t.db", "--append", append, "--disk", "nvme:64M", "--fault", fault)
        self.assertEqual(result.json["findings"], [], str(result))
        self.assertEqual(result.json["verdict"], "pass", str(result))

        def numbers(statement):
            shown = self.paravane("query", "t.db", "--csv", statement)
            return [int(line) for line in shown.stdout.split()[1:]]

        self.assertGreater(len(numbers("select result from marker_command_abort_end")), 0)
        # QEMU goes on with reads, and ends as aborted what it had not yet sent: never without an answer.
        self.assertLess(max(numbers("select result from marker_command_abort_end")), 2)
        self.assertGreater(numbers("select count(*) from marker_queue_suspend")[0], 0)
        self.assertEqual(numbers("select count(*) from marker_queue_suspend"), numbers("select count(*) from marker_queue_resume"))
        self.assertEqual(set(numbers("select result from marker_recovery_end")), {0})
        return result, numbers

    def test_queue_is_made_again_and_the_disk_serves(self):
        # Longer than a request's deadline, an abort, and the grace after it: the ladder's third step.
        result, numbers = self.recovery("exercise", "stall disk0 read after 20 for 8s")
        self.assertEqual(numbers("select status from marker_goodbye"), [3], str(result))

    def test_requests_that_a_recovery_ended_are_repeated(self):
        # Their deadlines are long enough: nobody sees more than a slow disk.
        result, numbers = self.recovery("exercise=deadline:30s", "stall disk0 read after 20 for 11s")
        self.assertEqual(numbers("select status from marker_goodbye"), [0], str(result))
        self.assertGreater(numbers("select count(*) from marker_command_repeat")[0], 0)

    def test_virtio_device_is_reset_and_the_disk_serves(self):
        # Longer than a command's five seconds and the grace after them; the requests themselves may take longer.
        result = self.paravane("check", "--json", "--output", "t.db", "--append", "exercise=deadline:30s", "--disk", "virtio-blk:64M",
                               "--fault", "stall disk0 read after 20 for 10s")
        self.assertEqual(result.json["verdict"], "pass", str(result))

        def numbers(statement):
            shown = self.paravane("query", "t.db", "--csv", statement)
            return [int(line) for line in shown.stdout.split()[1:]]

        # Set up, reset by the recovery, put to rest.
        self.assertEqual(numbers("select reason from marker_device_reset"), [0, 1, 2], str(result))
        self.assertEqual(numbers("select result from marker_recovery_end"), [0], str(result))
        self.assertEqual(numbers("select step from marker_recovery_step"), [2, 4], str(result))
        self.assertEqual(numbers("select count(*) from marker_queue_suspend"), numbers("select count(*) from marker_queue_resume"))
        self.assertEqual(numbers("select status from marker_goodbye"), [0], str(result))

    def test_failed_write_is_an_error_and_nothing_more(self):
        for disk in ("disk0", "disk1"):
            with self.subTest(disk):
                result = self.check(f"fail {disk} write 3 EIO")
                self.assertEqual(result.json["findings"], [], str(result))
                self.assertIn("status 2", result.json["run"]["ending"], str(result))

                def answer(statement):
                    return self.paravane("query", "t.db", "--csv", statement).stdout.split()[1:]

                self.assertEqual(answer("select operation from command where outcome = 'failed'"), ["write"], str(result))
                # One write, the third, of the disk that was named.
                self.assertEqual(answer("select disk, operation from fault_begin"), [f"{disk[-1]},2"])


if __name__ == "__main__":
    unittest.main()
