# An unmodified Debian kernel with its profile: the rules about mappings, exact, wherever the kernel moved itself.
# SPDX-License-Identifier: MIT
import json
import unittest

import kernel_module
from harness import DEBIAN, DEBIAN_GUEST, FAIL, PASS, TWO_DISKS, USAGE, EndToEnd

# The second guest's kernel is that of the machine's Debian.
PROFILE = "debian-6.12" if "linux-image-6.12" in (DEBIAN / "packages").read_text() else "debian-6.1"
MAPPINGS = {"dma-outside-mapping", "dma-after-unmap", "dma-direction", "dma-double-map", "dma-descriptor"}
RULES = ("--rules", "no-markers," + ",".join(sorted(MAPPINGS)))
BEHIND_VTD = ("--iommu", "intel", "--smp", "4")


class Profile(EndToEnd):
    def check(self, *options, append=""):
        return self.paravane("check", "--json", "--output", "t.db", "--profile", PROFILE, *DEBIAN_GUEST, "--append",
                             f"console=ttyS0 quiet paravane.blocks=200 {append}", *TWO_DISKS, *options, deadline=200)

    def asked(self, sql):
        return json.loads(self.paravane("query", "t.db", "--json", sql).stdout)

    def observed(self, result, rule):
        return next(one["observed"] for one in result.json["rules"] if one["rule"] == rule)

    def test_mappings_are_judged(self):
        result = self.check(*RULES)
        self.assert_status(result, PASS)
        self.assertLessEqual(MAPPINGS, result.rules("held"), str(result))
        self.assertGreater(self.observed(result, "dma-after-unmap"), 300)
        # The kernel moved itself, and no call was missed.
        self.assertEqual(self.asked("select count(*) c from profile where slide <> 0"), [{"c": 1}])
        self.assertEqual(self.asked("select markers, lost from plugin_goodbye"), [{"markers": 0, "lost": 0}])
        # What is mapped is what the devices used: each NVMe read went to memory that was mapped from the device.
        self.assertGreater(self.asked("select count(*) c from marker_dma_map where device = 128 and direction = 2")[0]["c"], 100)
        self.assertEqual(self.asked("select count(*) c from marker_dma_map where device = 128 and bus <> physical and physical <> -1"), [{"c": 0}])

    def test_behind_vtd_four_processors_strictly(self):
        result = self.check(*BEHIND_VTD, "--rules", RULES[1] + ",iommu-*", append="intel_iommu=on iommu.strict=1")
        self.assert_status(result, PASS)
        self.assertLessEqual(MAPPINGS | {"iommu-fault", "iommu-stale-entry"}, result.rules("held"), str(result))
        # Here virtio's driver uses DMA calls too, lists among them.
        self.assertGreater(self.asked("select count(*) c from marker_dma_unmap where device = 136")[0]["c"], 300)

    def test_behind_vtd_linux_forgets_late_by_default(self):
        result = self.check(*BEHIND_VTD, "--rules", "iommu-stale-entry,dma-after-unmap", append="intel_iommu=on")
        self.assert_status(result, FAIL)
        self.assertEqual(result.rules("broken"), {"iommu-stale-entry"}, str(result))
        self.assertIn("its memory was given out again", result.json["findings"][0]["title"])

    def test_a_module_that_unmaps_too_early_is_found(self):
        module = kernel_module.make(kernel_module.here("guest/early"), self.folder / "module")
        initrd = kernel_module.initrd_with({"init": kernel_module.here("guest/early/init"), "lib/early.ko": module}, self.folder)
        result = self.paravane("check", "--json", "--output", "t.db", "--profile", PROFILE, "--kernel", DEBIAN / "vmlinuz", "--initrd", initrd,
                               "--append", "console=ttyS0 quiet", "--disk", "nvme:64M", "--fault", "delay disk0 read by 400ms",
                               "--rules", ",".join(sorted(MAPPINGS)), deadline=200)
        self.assert_status(result, FAIL)
        # Taken back by the module, and again by the driver; where it was given out is said by name.
        findings = {one["rule"]: one for one in result.json["findings"]}
        self.assertEqual(set(findings), {"dma-after-unmap", "dma-double-map"}, str(result))
        self.assertIn("was still to write 4,096 bytes", findings["dma-after-unmap"]["title"])
        self.assertIn("in nvme_", findings["dma-after-unmap"]["detail"])
        self.assertIn("unmapped again", findings["dma-double-map"]["title"])

    def test_wrong_profiles_are_refused(self):
        self.assert_error(self.paravane("check", "--profile", "none-such", *DEBIAN_GUEST), USAGE, "no profile", "debian-6.1")
        self.assert_error(self.paravane("check", "--profile", "debian-6.1"), USAGE, "not for this kernel")
        other = self.folder / "other.toml"
        other.write_text('kernel = "^Linux version 5"\n[[call]]\nsymbol = "no_such_function"\ndoes = "unmap"\ndevice = "0"\nbus = "1"\nlength = "2"\n')
        self.assert_error(self.paravane("check", "--profile", other, *DEBIAN_GUEST), USAGE, "not for this kernel", "6.1")
        other.write_text(other.read_text().replace("5", "6"))
        self.assert_error(self.paravane("check", "--profile", other, *DEBIAN_GUEST), USAGE, "no symbol 'no_such_function'")
        self.assert_error(self.paravane("run", "--profile", "debian-6.1", *DEBIAN_GUEST), USAGE, "run", "check")
        self.assert_error(self.paravane("check", "--profile", "debian-6.1", "--accel", "kvm", *DEBIAN_GUEST), USAGE, "kvm")


if __name__ == "__main__":
    unittest.main()
