# Runs the broken and the correct variants of the guest with a disk, and looks at what the probe `ownership` says of each.
# SPDX-License-Identifier: MIT
"""usage: ownership.py --guest ELF --plugin SO [TestName ...]"""
import argparse
import sys
import unittest

import run
from translation import fields, function

# Each request takes a fifth of a second, on any host: what comes right behind the doorbell comes while it is under way.
DISK = ("-blockdev", "null-co,node-name=disk,size=67108864,latency-ns=200000000,read-zeroes=on", "-device", "nvme,drive=disk,serial=disk,addr=0x10")
RACE = "paravane_buffer_race"

# Scenario: the function of the access, whether it stores, what the device has there: data it writes, data it reads, an entry, a list.
BROKEN = {
    "early-read": ("read_buffer", 0, 1),
    "early-write": ("write_buffer", 1, 1),
    "unstable-data": ("write_buffer", 1, 2),
    "abort-reuse": ("write_buffer", 1, 1),
    "late-descriptor": ("write_descriptor", 1, 3),
    "late-list": ("write_list", 1, 4),
}


class Ownership(unittest.TestCase):
    maxDiff = None

    def lines(self, scenario):
        status, errors, lines = run.start(scenario, probe=",probe=markers,probe=ownership", more=DISK)
        self.assertEqual(status, 1, errors + "\n".join(lines[-20:]))
        lines = [fields(line) for line in lines]
        self.assertEqual([line for line in lines if line[0] == "paravane_ownership_unseen"], [])
        return lines

    def is_found(self, scenario, said):
        where, is_store, role = BROKEN[scenario]
        lines = self.lines(scenario + said)
        found = [line[1] for line in lines if line[0] == RACE]
        self.assertEqual(len(found), 1, lines)
        self.assertEqual(int(found[0]["access"], 0), is_store | role << 4 | 8 << 8, found)
        self.assertEqual(function(run.ARGUMENTS.guest, int(found[0]["pc"], 16)).split(".")[0], where)
        # The other side: the doorbell by which the device got it.
        given = [line[1] for line in lines if line[0] == "paravane_buffer_command" and line[1]["command"] == found[0]["command"]]
        self.assertEqual([function(run.ARGUMENTS.guest, int(line["pc"], 16)).split(".")[0] for line in given], ["ring"], lines)
        self.assertEqual(given[0]["queue"], "1")

    def test_each_mistake_is_found_where_it_is_made(self):
        for scenario in BROKEN:
            with self.subTest(scenario):
                self.is_found(scenario, "")

    def test_so_it_is_in_a_guest_that_says_nothing_of_itself(self):
        for scenario in ("early-read", "late-list"):
            with self.subTest(scenario):
                self.is_found(scenario, " bare")

    def test_each_corrected_is_silent(self):
        for scenario in BROKEN:
            with self.subTest(scenario):
                lines = self.lines(scenario + " right")
                self.assertEqual([line for line in lines if line[0] == RACE], [])
                totals = dict(lines)["paravane_ownership"]
                # Silent because all is well, not because nothing was seen: two queues made, and a command.
                self.assertGreaterEqual(int(totals["commands"]), 3, totals)
                self.assertEqual((totals["races"], totals["skipped"]), ("0", "0"))


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--guest", required=True)
    parser.add_argument("--plugin", required=True)
    run.ARGUMENTS, rest = parser.parse_known_args()
    unittest.main(argv=[sys.argv[0], *rest], verbosity=2)
