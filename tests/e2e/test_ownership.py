# The probe `ownership`: our kernel and Debian's are silent, and each way to touch what a device owns is found, by one rule.
# SPDX-License-Identifier: MIT
import json
import unittest

from harness import DEBIAN, FAIL, LIBRARY, PASS, TWO_DISKS, EndToEnd
from kernel_module import here, initrd_with

RACE, UNSTABLE = "dma-cpu-race", "dma-unstable-data"
# Long enough that no disk is done before the processor's next instructions, on any host.
SLOW = {"nvme": ("--fault", "delay disk0 read by 300ms"), "virtio-blk": ("--fault", "delay disk1 read by 300ms")}


class Ownership(EndToEnd):
    def check(self, kernel, append, *more):
        return self.paravane("check", "--json", "--output", "t.db", "--probe", "ownership", "--kernel", LIBRARY / kernel,
                             "--append", append, *TWO_DISKS, *more)

    def observed(self, result, rule=RACE):
        return next(entry for entry in result.json["rules"] if entry["rule"] == rule)

    def clean(self, *more):
        result = self.check("paravane-kernel.elf", "exercise=threads:4,blocks:128", *more)
        self.assert_status(result, PASS)
        self.assertEqual(result.json["findings"], [], str(result))
        self.assertEqual((self.observed(result)["outcome"], self.observed(result)["note"]), ("held", ""), str(result))
        # Not one that QEMU saw is missing.
        commands = sum(entry["commands"] for entry in result.json["commands"] if entry["operation"] != "admin")
        self.assertGreaterEqual(self.observed(result)["observed"], max(commands, 100), str(result))
        self.assertTrue(result.json["reproduce"].endswith("--probe ownership"), result.json["reproduce"])

    def test_exercise_on_one_cpu(self):
        self.clean()

    def test_exercise_on_four_cpus(self):
        self.clean("--smp", "4")

    def test_exercise_behind_an_iommu(self):
        self.clean("--iommu", "intel")

    def test_both_probes_at_once(self):
        result = self.check("paravane-kernel.elf", "exercise=threads:2,blocks:32", "--probe", "tlb", "--smp", "2")
        self.assert_status(result, PASS)
        self.assertEqual({RACE, "tlb-stale-use"} - result.rules("held"), set(), str(result))

    def broken(self, what, device, words, *more):
        result = self.check("paravane-kernel-misbehave.elf", f"exercise=threads:2,blocks:32 misbehave={what}:{device}",
                            *(more or SLOW[device]))
        self.assert_status(result, FAIL)
        self.assertEqual(result.rules("broken"), {RACE}, str(result))
        findings = result.json["findings"]
        self.assertEqual(len(findings), 1, str(result))
        finding = findings[0]
        self.assertEqual(finding["device"], "disk0" if device == "nvme" else "disk1", finding)
        for word in words:
            self.assertIn(word, finding["title"] + "\n" + finding["detail"], str(result))
        # Both sides: who touched it, and who gave it away.
        self.assertIn("pv::", finding["symbol"] or "", finding)
        self.assertIn("owned: since", finding["detail"])
        self.assertRegex(finding["detail"].split("owned: since")[1].split("\n")[0], r"by cpu \d at pv::")
        self.assertEqual({"access", "owner", "submitted"} - {event["role"] for event in finding["events"]}, set(), finding)
        return finding

    def test_read_before_the_completion(self):
        self.broken("dma-cpu-race", "nvme", ["cpu 0 read", "data that it writes"])

    def test_read_before_the_completion_virtio(self):
        self.broken("dma-cpu-race", "virtio-blk", ["cpu 0 read", "data that it writes"])

    def test_written_after_the_submission(self):
        self.broken("dma-cpu-race-write", "nvme", ["cpu 0 wrote", "data that it writes"])

    def test_written_after_the_submission_virtio(self):
        self.broken("dma-cpu-race-write", "virtio-blk", ["cpu 0 wrote", "data that it writes"])

    def test_descriptor_changed_behind_the_doorbell(self):
        self.broken("dma-cpu-race-descriptor", "nvme", ["the descriptor of its command"])

    def test_descriptor_changed_behind_the_doorbell_virtio(self):
        self.broken("dma-cpu-race-descriptor", "virtio-blk", ["of its command"])

    def test_buffer_used_again_after_an_abort(self):
        # Held until the driver's patience is over and it asked for an abort, which QEMU does not carry out: the disk's last page.
        self.broken("dma-cpu-race-abort", "nvme", ["cpu 0 wrote", "data that it writes", "given up:"],
                    "--fault", "stall disk0 read at 65532k+4k for 8s")

    def test_a_known_finding_is_listed_apart(self):
        finding = self.broken("dma-cpu-race", "nvme", [])
        (self.folder / "known.toml").write_text(f'[[suppress]]\nrule = "dma-*"\nplace = "{finding["symbol"]}"\nreason = "told of on purpose"\n'
                                                '[[suppress]]\nrule = "dma-leak"\nplace = "*"\nreason = "was mended"\nexpires = 2020-01-31\n')
        result = self.paravane("analyze", "t.db", "--json", "--suppress", "known.toml")
        self.assert_status(result, PASS)
        answer = result.json
        self.assertEqual((answer["findings"], answer["counts"]["findings"], answer["counts"]["suppressed"]), ([], 0, 1), str(result))
        self.assertEqual([(one["rule"], one["suppressed_by"]) for one in answer["suppressed"]], [(RACE, 0)], str(result))
        self.assertEqual([(entry["state"], entry["findings"]) for entry in answer["suppressions"]["entries"]],
                         [("used", 1), ("expired", 0)], str(result))
        self.assertIn("1 finding suppressed", answer["reason"])
        self.assertIn("expired on 2020-01-31", result.stderr)
        shown = self.paravane("report", "t.db", "--html", "r.html")
        self.assert_status(shown, PASS)
        self.assertIn("told of on purpose", (self.folder / "r.html").read_text())
        shown = self.paravane("report", "t.db")
        self.assertIn("told of on purpose", shown.stdout)
        # Without the file it counts again.
        again = self.paravane("analyze", "t.db", "--json")
        self.assert_status(again, FAIL)
        self.assertIsNone(again.json["suppressions"])
        self.assertNotIn("suppressions", json.dumps(again.json["run"]))


class Debian(EndToEnd):
    """Longer than test_debian's, at night."""

    def check(self, initrd, append, *more):
        result = self.paravane("check", "--json", "--output", "t.db", "--probe", "ownership", "--rules", "no-markers", "--kernel", DEBIAN / "vmlinuz",
                               "--initrd", initrd, "--append", f"console=ttyS0 quiet {append}", *TWO_DISKS, *more, deadline=300)
        # Advice is what Linux may do: files' pages are written anew on their way to the disk.
        self.assertEqual([finding for finding in result.json["findings"] if finding["rule"] != UNSTABLE], [], str(result))
        self.assertIn(RACE, result.rules("held"), str(result))
        return next(entry for entry in result.json["rules"] if entry["rule"] == RACE)["observed"], result

    def test_direct_on_four_processors(self):
        observed, result = self.check(DEBIAN / "initrd", "paravane.blocks=1500", "--smp", "4")
        self.assert_status(result, PASS)
        self.assertGreater(observed, 6000, str(result))

    def test_through_the_page_cache(self):
        observed, result = self.check(initrd_with({"init": here("guest/cached/init")}, self.folder), "", "--smp", "2")
        self.assertEqual(result.json["guest_end"]["text"], "powered off, status 0", str(result))
        self.assertGreater(observed, 100, str(result))

    def test_a_disk_that_stalls(self):
        # Timeouts, aborts and a reset of the controller, whose queues Linux uses again.
        observed, result = self.check(DEBIAN / "initrd", "paravane.blocks=300 nvme_core.io_timeout=2",
                                      "--fault", "stall disk0 read after 100 for 8s")
        self.assertGreater(observed, 500, str(result))


if __name__ == "__main__":
    unittest.main()
