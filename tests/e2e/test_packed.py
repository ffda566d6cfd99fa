# Packed virtqueues: our kernel takes them, and what is not seen of them is said.
# SPDX-License-Identifier: MIT
import unittest

from harness import EndToEnd


class Packed(EndToEnd):
    def test_rules_hold_and_what_is_not_read_is_not_observed(self):
        result = self.paravane("check", "--json", "--output", "t.db", "--smp", "2", "--disk", "virtio-blk:64M,packed")
        rules = {rule["rule"]: rule for rule in result.json["rules"]}
        self.assertEqual(result.json["findings"], [], str(result))
        self.assertEqual([name for name, rule in rules.items() if rule["outcome"] != "held"], ["dma-descriptor"], str(result))
        self.assertEqual(rules["dma-descriptor"]["outcome"], "not observed", str(result))
        self.assertIn("packed", rules["dma-descriptor"]["note"], str(result))
        # One ring for each CPU, each of them packed.
        kinds = self.paravane("query", "t.db", "--csv", "select kind from marker_queue_create order by queue").stdout.split()[1:]
        self.assertEqual(kinds, ["4", "4"])


if __name__ == "__main__":
    unittest.main()
