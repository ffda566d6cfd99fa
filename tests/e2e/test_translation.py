# The probe `tlb` on our kernel: silent on what is right, exactly one rule on what is broken, on 1, 2 and 4 processors.
# SPDX-License-Identifier: MIT
import unittest

from harness import DEBIAN_GUEST, FAIL, LIBRARY, PASS, TWO_DISKS, USAGE, EndToEnd
from test_profile import PROFILE

PROBED = {"tlb-stale-use", "tlb-missed-shootdown", "tlb-freed-while-cached", "tlb-global-kept", "tlb-overflush",
          "pt-write-exec", "pt-user-reaches-kernel", "pt-reserved-bits"}


class Probed(EndToEnd):
    def check(self, kernel, append, cpus, *more):
        return self.paravane("check", "--json", "--output", "t.db", "--probe", "tlb", "--smp", str(cpus), "--kernel", LIBRARY / kernel,
                             "--append", append, *TWO_DISKS, *more)


class Translation(Probed):
    def clean(self, cpus):
        result = self.check("paravane-kernel.elf", "exercise=threads:4,blocks:128", cpus)
        self.assert_status(result, PASS)
        # Tables go once more than one processor has started.
        judged = PROBED if cpus > 1 else PROBED - {"tlb-freed-while-cached"}
        self.assertEqual(judged - result.rules("held"), set(), str(result))
        self.assertTrue(result.json["reproduce"].endswith("--probe tlb"), result.json["reproduce"])

    def test_exercise_on_one_cpu(self):
        self.clean(1)

    def test_exercise_on_four_cpus(self):
        self.clean(4)

    def broken(self, rule):
        result = self.check("paravane-kernel-misbehave.elf", f"exercise=threads:2,blocks:32 misbehave={rule}:nvme", 2)
        self.assert_status(result, FAIL)
        self.assertEqual(result.rules("broken"), {rule}, str(result))
        self.assertEqual(len(result.json["findings"]), 1, str(result))
        return result.json["findings"][0]

    def test_missed_shootdown(self):
        self.broken("tlb-missed-shootdown")

    def test_global_kept(self):
        # LEDGER C17: the kernel of the audit's mistake, found at the write to CR3.
        finding = self.broken("tlb-global-kept")
        self.assertEqual(finding["symbol"], "pv::arch::tlb::serve", finding)


class Tables(Probed):
    def tables(self, mistake, where, cpus=1):
        """A mistake with tables that the kernel makes after it did the same right: one finding, at the instruction that made it."""
        # Its interrupts are off for longer than some thread's deadline: that is another rule's.
        result = self.check("paravane-kernel-misbehave.elf", f"exercise=threads:2,blocks:32 misbehave={mistake}:nvme", cpus,
                            "--rules", ",".join(sorted(PROBED)))
        self.assert_status(result, FAIL)
        rule = next(rule for rule in sorted(PROBED) if mistake.startswith(rule))
        self.assertEqual(result.rules("broken"), {rule}, str(result))
        self.assertEqual(len(result.json["findings"]), 1, str(result))
        finding = result.json["findings"][0]
        self.assertIn(where, finding["symbol"], finding)
        return finding

    def test_not_forgotten(self):
        finding = self.tables("tlb-stale-use", "misbehave")
        self.assertIn("read", finding["title"])

    def test_forgotten_before_the_store(self):
        self.tables("tlb-stale-use-early", "misbehave")

    def test_read_only_and_written(self):
        finding = self.tables("tlb-stale-use-write", "pv_copy_user")
        self.assertIn("wrote", finding["title"])

    def test_answered_before_it_was_done(self):
        self.tables("tlb-missed-shootdown-early", "pv::arch::tlb::flush", cpus=2)

    def test_given_back_before_it_was_forgotten(self):
        self.tables("tlb-freed-while-cached", "misbehave")

    def test_data_that_is_code(self):
        self.tables("pt-write-exec", "pv::arch::PageTable::map")

    def test_code_through_a_writable_alias(self):
        self.tables("pt-write-exec-alias", "pv::arch::PageTable::map")

    def test_a_table_that_a_program_reaches(self):
        self.tables("pt-user-reaches-kernel", "pv::arch::UserTables::set")


class Debian(EndToEnd):
    def test_two_processors(self):
        # With its profile two more rules see something; the others judge as without.
        result = self.paravane("check", "--json", "--output", "t.db", "--profile", PROFILE, "--probe", "tlb",
                               "--rules", "no-markers,tlb-missed-shootdown,tlb-freed-while-cached", "--smp", "2", *DEBIAN_GUEST,
                               "--append", "console=ttyS0 quiet paravane.blocks=300", *TWO_DISKS)
        self.assertEqual(result.json["findings"], [], str(result))
        self.assert_status(result, PASS)
        self.assertEqual(PROBED - {"tlb-overflush"} - result.rules("held"), set(), str(result))

    def test_without_the_probe_its_rules_are_left_out(self):
        result = self.paravane("check", "--json", "--output", "t.db", "--rules", "no-markers", *DEBIAN_GUEST,
                               "--append", "console=ttyS0 quiet paravane.blocks=20", *TWO_DISKS)
        self.assert_status(result, PASS)
        self.assertEqual([rule for rule in result.json["rules"] if rule["rule"].startswith(("tlb-", "pt-"))], [], str(result))

    def test_what_the_probe_cannot_do_is_refused(self):
        result = self.paravane("check", "--probe", "tbl", *DEBIAN_GUEST)
        self.assert_status(result, USAGE)
        self.assertIn("tlb", result.stderr)


if __name__ == "__main__":
    unittest.main()
