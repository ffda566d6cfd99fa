# Our own kernel on four processors: the same verdict, and the work is on all of them.
# SPDX-License-Identifier: MIT
import json
import unittest

from harness import PASS, RULES, EndToEnd, Workplace

CPUS = 4


class FourProcessors(EndToEnd):
    """The guest runs once; each test looks at another side of what came out."""

    @classmethod
    def setUpClass(cls):
        cls.shared = Workplace()
        cls.trace = cls.shared.folder / "trace.db"
        cls.checked = cls.shared.run("check", "--smp", str(CPUS), "--json", "--output", cls.trace)

    @classmethod
    def tearDownClass(cls):
        cls.shared.close()

    def rows(self, sql):
        answer = self.paravane("query", self.trace, sql, "--json")
        self.assert_status(answer, PASS)
        return json.loads(answer.stdout)

    def test_passes_with_every_rule_held(self):
        self.assert_status(self.checked, PASS)
        self.assertEqual({rule["rule"]: rule["outcome"] for rule in self.checked.json["rules"]},
                         {rule: "held" for rule in RULES}, str(self.checked))

    def test_every_processor_was_started_once(self):
        started = self.rows("select cpu, count(*) as times from cpu_start group by cpu")
        self.assertEqual({row["cpu"]: row["times"] for row in started}, {cpu: 1 for cpu in range(CPUS)})

    def test_commands_come_from_all_processors(self):
        submitted = self.rows("select cpu, count(*) as commands from marker_command_submit group by cpu")
        self.assertEqual({row["cpu"] for row in submitted if row["commands"] > 10}, set(range(CPUS)), submitted)


if __name__ == "__main__":
    unittest.main()
