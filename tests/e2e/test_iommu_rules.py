# The rules about IOMMUs, on real runs: our kernel passes with them, a device that reaches beyond what it was granted is stopped,
# said so by the guest, and found by the bench from its own evidence.
# SPDX-License-Identifier: MIT
import unittest

from harness import FAIL, LIBRARY, PASS, RULES, TWO_DISKS, EndToEnd


class Confined(EndToEnd):
    def test_our_kernel_passes_with_every_rule(self):
        for unit, more in (("intel", {"iommu-fault", "iommu-stale-entry"}), ("virtio", {"iommu-fault"})):
            for processors in ("1", "4"):
                with self.subTest(unit=unit, processors=processors):
                    result = self.paravane("check", "--json", "--output", "t.db", "--iommu", unit, "--smp", processors,
                                           *(("--net", "user", *TWO_DISKS) if processors == "4" else ()))
                    self.assert_status(result, PASS)
                    self.assertEqual(result.rules("not observed"), set())
                    self.assertEqual(result.rules("held"), more | set(RULES))

    def test_a_read_beyond_what_was_granted_is_refused_and_found(self):
        result = self.paravane("check", "--json", "--output", "t.db", "--keep", "kept", "--iommu", "intel", *TWO_DISKS, "--kernel",
                               LIBRARY / "paravane-kernel-misbehave.elf", "--append", "exercise misbehave=dma-outside-mapping:nvme")
        self.assert_status(result, FAIL)
        self.assertLessEqual({"iommu-fault", "dma-outside-mapping"}, result.rules("broken"))
        finding = next(one for one in result.json["findings"] if one["rule"] == "iommu-fault")
        self.assertEqual(finding["device"], "disk0")
        # The guest was told by the unit, and says the same device and address.
        shown = self.paravane("query", "t.db", "--csv", "select device, iova from marker_dma_fault limit 1").stdout.split()[-1]
        device, address = (int(word, 0) for word in shown.split(","))
        self.assertEqual(device, 0x80)
        self.assertEqual(address & ~0xfff, int(finding["address"], 16) & ~0xfff)

    def test_what_a_unit_lets_a_device_write_that_is_protected_is_found(self):
        for unit, kind, name in (("intel", "nvme", "disk0"), ("virtio", "virtio-blk", "disk1")):
            with self.subTest(unit):
                result = self.paravane("check", "--json", "--output", "t.db", "--iommu", unit, *TWO_DISKS, "--kernel",
                                       LIBRARY / "paravane-kernel-misbehave.elf", "--append", f"exercise=blocks:32 misbehave=dma-protected:{kind}")
                self.assert_status(result, FAIL)
                self.assertEqual([(one["rule"], one["device"]) for one in result.json["findings"]], [("dma-protected", name)], str(result))

    def test_without_a_unit_the_rules_are_left_out_unless_named(self):
        result = self.paravane("check", "--json", "--output", "t.db", "--append", "exercise=threads:1,blocks:8")
        self.assertNotIn("iommu-fault", {rule["rule"] for rule in result.json["rules"]})
        named = self.paravane("analyze", "t.db", "--rules", "iommu-fault", "--json")
        self.assertEqual(named.rules("not observed"), {"iommu-fault"})


if __name__ == "__main__":
    unittest.main()
