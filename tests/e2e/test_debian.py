# An unmodified Debian kernel under watch: no false finding, alone, with several processors, and with a disk that stalls.
# SPDX-License-Identifier: MIT
import unittest

from harness import DEBIAN_GUEST, INCOMPLETE, PASS, TWO_DISKS, EndToEnd


class Debian(EndToEnd):
    def check(self, *options, append="", **keywords):
        return self.paravane("check", "--json", "--output", "t.db", *DEBIAN_GUEST, "--append",
                             f"console=ttyS0 quiet paravane.blocks=300 {append}", *TWO_DISKS, *options, **keywords)

    def assert_no_finding(self, result):
        self.assertEqual(result.json["findings"], [], str(result))
        self.assertEqual(result.rules("broken"), set(), str(result))

    def test_all_rules_give_no_false_finding(self):
        result = self.check()
        self.assert_no_finding(result)
        # What needs the guest's markers cannot be observed, and says so; the rest is held.
        self.assert_status(result, INCOMPLETE)
        self.assertEqual(result.json["verdict"], "incomplete")
        self.assertLessEqual({"mmio-unmapped", "mmio-width", "mmio-order", "mmio-doorbell", "cmd-lost", "cmd-duplicate"}, result.rules("held"), str(result))
        for rule in result.json["rules"]:
            if rule["outcome"] == "not observed":
                self.assertTrue(rule["note"], rule)

    def test_rules_without_markers_pass(self):
        result = self.check("--rules", "no-markers")
        self.assert_no_finding(result)
        self.assert_status(result, PASS)
        self.assertEqual(result.json["verdict"], "pass")
        # The programs' word, although the kernel has the last one.
        self.assertEqual(result.json["guest_end"]["text"], "powered off, status 0")

    def test_two_processors(self):
        # The same run shows that no processor touches what a disk owns.
        result = self.check("--rules", "no-markers", "--smp", "2", "--probe", "ownership", append="paravane.rounds=2")
        self.assert_no_finding(result)
        self.assertIn("dma-cpu-race", result.rules("held"), str(result))
        self.assert_status(result, PASS)

    def test_stall_shows_timeout_abort_and_reset(self):
        result = self.check("--rules", "no-markers", "--fault", "stall disk0 read after 100 for 8s",
                            append="nvme_core.io_timeout=2", deadline=180)
        self.assert_no_finding(result)
        what = [(entry["device"], entry["what"]) for entry in result.json["timeline"]]
        for step in ("fault", "abort", "reset"):
            self.assertTrue(any(device in ("disk0", None) and step in name for device, name in what), f"{step}: {what}")


if __name__ == "__main__":
    unittest.main()
