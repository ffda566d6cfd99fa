# A profile and the probe `tlb`: an unmodified Debian kernel keeps its promises about memory; one that a module breaks does not.
# SPDX-License-Identifier: MIT
import json
import subprocess
import unittest

import kernel_module
from harness import DEBIAN, FAIL, PASS, EndToEnd
from test_profile import PROFILE

PROMISES = {"tlb-missed-shootdown", "tlb-freed-while-cached"}
RULES = PROMISES | {"tlb-stale-use", "tlb-global-kept", "pt-reserved-bits"}


class Memory(EndToEnd):
    def check(self, what, cpus):
        guest = kernel_module.here("guest/memory")
        files = {"init": guest / "init", "bin/storm": self.folder / "storm"}
        subprocess.run(["gcc", "-static", "-O2", "-Wall", "-Wextra", "-Werror", "-pthread", guest / "storm.c", "-o", files["bin/storm"]], check=True)
        if what != "storm":
            files["lib/memory.ko"] = kernel_module.make(guest, self.folder / "module")
        initrd = kernel_module.initrd_with(files, self.folder)
        return self.paravane("check", "--json", "--output", "t.db", "--profile", PROFILE, "--probe", "tlb", "--smp", str(cpus),
                             "--kernel", DEBIAN / "vmlinuz", "--initrd", initrd, "--append", f"console=ttyS0 quiet memory.do={what}",
                             "--rules", ",".join(sorted(RULES)), deadline=400)

    def asked(self, sql):
        return json.loads(self.paravane("query", "t.db", "--json", sql).stdout)

    def silent(self, what, cpus):
        result = self.check(what, cpus)
        self.assertEqual(result.json["findings"], [], str(result))
        self.assert_status(result, PASS)
        self.assertLessEqual(PROMISES, result.rules("held"), str(result))
        return result

    def storm(self, cpus):
        self.silent("storm", cpus)
        # Every kind of call was followed, and none was lost.
        told = self.asked("select max(frames) frames, max(shootdowns) shootdowns, max(held) held from translation_profile")[0]
        self.assertGreater(told["frames"], 20_000, told)
        self.assertGreater(told["shootdowns"], 1_000, told)
        self.assertEqual(self.asked("select lost from plugin_goodbye"), [{"lost": 0}])
        seen = self.asked("select changes, skipped from translation order by seq desc limit 1")[0]
        self.assertLess(seen["skipped"] * 100, seen["changes"], seen)

    def test_storm_on_one_processor(self):
        self.storm(1)

    def test_storm_on_two_processors(self):
        self.storm(2)

    def test_storm_on_four_processors(self):
        self.storm(4)

    def broken(self, what, rule):
        result = self.check(what, 2)
        self.assert_status(result, FAIL)
        self.assertEqual(result.rules("broken"), {rule}, str(result))
        return result.json["findings"]

    def test_a_module_that_gives_a_page_back_too_early_is_found(self):
        finding, = self.broken("early", "tlb-freed-while-cached")
        self.assertIn("is given back while cpu", finding["title"])
        self.assertIn("held to it: cpu", finding["detail"])

    def test_the_same_module_that_flushes_is_silent(self):
        self.silent("none", 2)

    def test_a_processor_that_is_left_out_of_a_shootdown_is_found(self):
        # It is shown several pages, each with a shootdown of its own. How many it misses depends on when it changes threads.
        for finding in self.broken("deaf", "tlb-missed-shootdown"):
            self.assertIn("cpu 1 may still use the old translation", finding["title"])


if __name__ == "__main__":
    unittest.main()
