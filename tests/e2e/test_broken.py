# Guests that break a rule on purpose: exactly that rule fires, the exit status and the JSON say so.
# SPDX-License-Identifier: MIT
import sys
import unittest

from harness import FAIL, LIBRARY, RULES, TWO_DISKS, EndToEnd


class Broken(EndToEnd):
    def check(self, rule, device):
        result = self.paravane("check", "--json", "--output", "t.db", "--kernel", LIBRARY / "paravane-kernel-misbehave.elf", "--append",
                               f"exercise=threads:2,blocks:32 misbehave={rule}:{device}", *TWO_DISKS)
        self.assert_status(result, FAIL)
        answer = result.json
        self.assertEqual((answer["verdict"], answer["exit_status"]), ("fail", FAIL))
        # A poll without end keeps the processor from those whose waits end meanwhile: on a slow host they are late as well.
        also = {"wait-unbounded"} if rule == "mmio-poll-unbounded" else set()
        self.assertEqual(result.rules("broken") - also, {rule}, str(result))
        findings = [finding for finding in answer["findings"] if finding["rule"] not in also]
        self.assertEqual([finding["rule"] for finding in findings], [rule], str(result))
        finding = findings[0]
        expected = "disk0" if device == "nvme" else "disk1"
        self.assertEqual(finding["device"], None if rule == "wait-unbounded" else expected, finding)  # a thread's, no device's
        self.assertTrue(finding["events"], finding)
        # What is not broken was judged all the same.
        self.assertEqual(result.rules("held") | also, (set(RULES) - {rule}) | also, str(result))


# One method a rule and device, so that each can be run and named by itself: test_broken.py Broken.test_dma_leak_nvme.
# A recovery is only judged where there is one.
for _rule in (*RULES, "cmd-recovery"):
    for _device in ("nvme", "virtio-blk"):
        def _test(self, rule=_rule, device=_device):
            self.check(rule, device)
        setattr(Broken, f"test_{_rule}_{_device}".replace("-", "_"), _test)


if __name__ == "__main__":
    if "--list" in sys.argv:
        print("\n".join(name for name in dir(Broken) if name.startswith("test_")))
    else:
        unittest.main()
