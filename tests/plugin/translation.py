# Runs the broken and the correct variants of the translation guest, and looks at what the probe `tlb` says of each.
# SPDX-License-Identifier: MIT
"""usage: translation.py --guest ELF --plugin SO [TestName ...]"""
import argparse
import re
import subprocess
import sys
import unittest

import run

PROBES = ",probe=markers,probe=tlb,grace=0"

# Scenario: processors, the line that must be there, what stands in it, and the function of the instruction it names.
FAULT = "paravane_table_entry"
BROKEN = {
    "missing-invlpg": (1, "paravane_tlb_stale_use", {"address": "0x40000000", "access": "6"}, "read_page"),
    "early-invlpg": (1, "paravane_tlb_stale_use", {"address": "0x40000000", "access": "6"}, "read_page"),
    "read-only": (1, "paravane_tlb_stale_use", {"address": "0x40000000", "access": "7"}, "write_page"),
    "all-but-one": (2, "paravane_tlb_missed", {"holder": "1", "structure": "0"}, "end_shootdown"),
    "early-answer": (2, "paravane_tlb_missed", {"holder": "1", "structure": "0"}, "end_shootdown"),
    "global-page": (2, "paravane_tlb_global_kept", {"cpu": "1"}, "reload_cr3"),
    "early-release": (2, "paravane_tlb_freed", {"holder": "1", "physical": "0x1000000"}, "release_frame"),
    "table-release": (2, "paravane_tlb_freed", {"holder": "1", "structure": "1"}, "table_release"),
    "code-alias": (1, FAULT, {"fault": "2", "address": "0x40000000", "other": "0x100000"}, "store_entry"),
    "write-execute": (1, FAULT, {"fault": "1", "address": "0x40000000", "level": "1"}, "store_entry"),
    "user-table": (1, FAULT, {"fault": "3", "address": "0x40000000"}, "store_entry"),
    "user-code": (1, FAULT, {"fault": "6", "other": "0x1"}, "store_entry"),
    "reserved": (1, FAULT, {"fault": "4", "level": "2", "other": "0x2000"}, "store_entry"),
    "two-levels": (1, FAULT, {"fault": "5", "level": "2", "other": "0x3"}, "store_entry"),
}
FINDINGS = ("paravane_tlb_stale_use", "paravane_tlb_missed", "paravane_tlb_freed", "paravane_tlb_global_kept", FAULT)


def fields(line):
    """The line's name, and its keys with their values."""
    name, *words = line.split(":", 1)[1].split()
    return name, dict(zip(words[::2], words[1::2]))


def symbols(guest):
    """Functions of the guest by address, in order."""
    listed = subprocess.run(["nm", guest], capture_output=True, text=True, check=True).stdout
    return sorted((int(address, 16), name) for address, kind, name in
                  re.findall(r"^([0-9a-f]+) ([tT]) (\w+)", listed, re.M))


def function(guest, address):
    return max((entry for entry in symbols(guest) if entry[0] <= address), default=(0, "?"))[1]


class Translation(unittest.TestCase):
    maxDiff = None

    def lines(self, scenario, cpus, **options):
        status, errors, lines = run.start(scenario, cpus=cpus, probe=PROBES, **options)
        self.assertEqual(status, 1, errors + "\n".join(lines[-20:]))
        return [fields(line) for line in lines]

    def test_each_mistake_is_found_where_it_is_made(self):
        for scenario, (cpus, name, expected, where) in BROKEN.items():
            with self.subTest(scenario):
                lines = self.lines(scenario, cpus)
                found = [line for line in lines if line[0] in FINDINGS]
                self.assertEqual([line[0] for line in found], [name], found)
                values = found[0][1]
                self.assertEqual({key: values[key] for key in expected}, expected)
                # A function with a static name may be split or cloned by the compiler: name.part.0
                self.assertEqual(function(run.ARGUMENTS.guest, int(values["pc"], 16)).split(".")[0], where)
                if name != FAULT:
                    changes = [line for line in lines if line[0] == "paravane_table_change"]
                    self.assertEqual([line[1]["change"] for line in changes], [values["change"]])
                    changed = function(run.ARGUMENTS.guest, int(changes[0][1]["pc"], 16))
                    self.assertEqual(changed.split(".")[0], "store_entry")

    def test_each_corrected_is_silent(self):
        for scenario, (cpus, name, _, _) in BROKEN.items():
            with self.subTest(scenario):
                lines = self.lines(scenario + " right", cpus)
                self.assertEqual([line for line in lines if line[0] in FINDINGS], [])
                totals = dict(lines)["paravane_translation"]
                # Silent because all is well, not because nothing was seen.
                self.assertGreater(int(totals["entries"]), 0)
                if name != FAULT:
                    self.assertGreater(int(totals["changes"]), 0)
                self.assertEqual(totals["skipped"], "0")

    def test_memory_beyond_4_gib(self):
        lines = self.lines("missing-invlpg", 1, memory="3G")
        self.assertEqual([line[0] for line in lines if line[0] in FINDINGS], ["paravane_tlb_stale_use"])

    def test_without_shared_memory_nothing_is_judged(self):
        lines = self.lines("missing-invlpg", 1, memfd=False)
        self.assertEqual([line for line in lines if line[0] in FINDINGS], [])
        self.assertEqual([line[1] for line in lines if line[0] == "paravane_translation_unseen"], [{"reason": "1"}])

    def test_the_grace_time_lets_what_is_young_pass(self):
        status, errors, lines = run.start("missing-invlpg", probe=",probe=markers,probe=tlb,grace=100000")
        self.assertEqual(status, 1, errors)
        self.assertEqual([line for line in map(fields, lines) if line[0] in FINDINGS], [])


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--guest", required=True)
    parser.add_argument("--plugin", required=True)
    run.ARGUMENTS, rest = parser.parse_known_args()
    unittest.main(argv=[sys.argv[0], *rest], verbosity=2)
