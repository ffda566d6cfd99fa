# Our kernel behind an IOMMU: it says so, every rule holds, and what it was not given is refused and reported by both sides.
# SPDX-License-Identifier: MIT
import json
import unittest

from harness import LIBRARY, PASS, TWO_DISKS, EndToEnd

TOOK_OVER = {"intel": "VT-d: 4 devices, each in a domain of its own",
             "virtio": "virtio-iommu: 4 devices, each in a domain of its own", "none": "no IOMMU: DMA is not confined"}


class Iommu(EndToEnd):
    """What the trace holds of the unit's work, and what the guest says of it."""

    def count(self, trace, sql):
        rows = json.loads(self.paravane("query", trace, "--json", sql).stdout)
        return next(iter(rows[0].values()))

    def checked(self, iommu):
        trace = self.folder / "trace.db"
        result = self.paravane("check", "--json", "--iommu", iommu, "--output", trace)
        self.assert_status(result, PASS)
        self.assertEqual(result.json["verdict"], "pass", str(result))
        return trace

    def test_intel_holds_every_rule(self):
        trace = self.checked("intel")
        self.assertEqual(self.count(trace, "select count(*) from iommu_enabled where \"on\" = 1"), 1)
        self.assertEqual(self.count(trace, "select count(*) from interrupt_remapping_enabled where \"on\" = 1"), 1)
        mapped = self.count(trace, "select count(*) from marker_dma_map")
        self.assertGreater(mapped, 100)
        # Each mapping is an address of the device's domain, and each end of one is an invalidation that was waited for.
        self.assertEqual(self.count(trace, "select count(*) from marker_dma_map where bus = physical"), 0)
        self.assertGreaterEqual(self.count(trace, "select count(*) from iommu_invalidate_pages"), mapped)
        self.assertEqual(self.count(trace, "select count(*) from iommu_fault"), 0)
        # Every page that a device reached is in a mapping of that device.
        self.assertGreater(self.count(trace, "select count(*) from iommu_translation"), 1000)
        self.assertEqual(self.count(trace, """select count(*) from iommu_translation t where iova < 0xfee00000"""), 0)

    def test_virtio_holds_every_rule(self):
        trace = self.checked("virtio")
        mapped = self.count(trace, "select count(*) from viommu_map")
        self.assertGreater(mapped, 100)
        self.assertEqual(mapped, self.count(trace, "select count(*) from viommu_unmap"))
        self.assertEqual(self.count(trace, "select count(*) from viommu_fault"), 0)
        self.assertGreater(self.count(trace, "select count(*) from viommu_translation"), 1000)

    def test_run_says_which(self):
        for iommu, line in TOOK_OVER.items():
            result = self.paravane("run", "--iommu", iommu, *TWO_DISKS)
            self.assert_status(result, PASS)
            self.assertIn(line, result.stdout + result.stderr)

    def test_what_was_not_given_is_refused_and_reported(self):
        for kind, bdf, address in (("nvme", 0x80, "00:10.0"), ("virtio-blk", 0x88, "00:11.0")):
            guest = ("--iommu", "intel", *TWO_DISKS, "--kernel", LIBRARY / "paravane-kernel-misbehave.elf",
                     "--append", f"misbehave=dma-outside-mapping:{kind}")
            # The bench's own evidence, the guest's word.
            trace = self.folder / f"{kind}.db"
            shown = str(self.paravane("check", "--json", "--output", trace, *guest))
            self.assertEqual(self.count(trace, f"select count(distinct bdf) from iommu_fault where bdf = {bdf}"), 1, shown)
            self.assertEqual(self.count(trace, f"select count(*) from iommu_fault where bdf <> {bdf}"), 0, shown)
            self.assertEqual(self.count(trace, f"select count(*) from marker_dma_fault where device = {bdf}"), 1, shown)
            # The device is stopped, the system is not: it powers off by itself.
            result = self.paravane("run", *guest)
            for line in (f"device {address} may not write", f"device {address} is cut off from memory", "paravane: powering off"):
                self.assertIn(line, result.stdout + result.stderr, str(result))


if __name__ == "__main__":
    unittest.main()
