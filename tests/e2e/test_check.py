# The main job on our own kernel: one check, then everything that can be done with its trace.
# SPDX-License-Identifier: MIT
import csv
import io
import json
import re
import unittest

from harness import BUILD, FAIL, PASS, RULES, USAGE, EndToEnd, Workplace


class OurKernel(EndToEnd):
    """The guest runs once; each test looks at another side of what came out."""

    @classmethod
    def setUpClass(cls):
        cls.shared = Workplace()
        cls.trace = cls.shared.folder / "trace.db"
        cls.checked = cls.shared.run("check", "--json", "--output", cls.trace)

    @classmethod
    def tearDownClass(cls):
        cls.shared.close()

    def test_passes_with_every_rule_held(self):
        self.assert_status(self.checked, PASS)
        answer = self.checked.json
        self.assertEqual((answer["verdict"], answer["exit_status"]), ("pass", 0), str(self.checked))
        self.assertEqual({rule["rule"]: rule["outcome"] for rule in answer["rules"]}, {rule: "held" for rule in RULES}, str(self.checked))
        for rule in answer["rules"]:
            self.assertGreater(rule["observed"], 0, rule)
            self.assertTrue(rule["unit"], rule)
        self.assertEqual(answer["findings"], [])

    def test_says_how_the_guest_ended(self):
        self.assertEqual(self.checked.json["guest_end"],
                         {"ended": "powered off", "status": 0, "wedged": None, "text": "powered off, status 0"})
        for arguments in (("report", self.trace), ("analyze", self.trace), ("analyze", "--quiet", self.trace)):
            self.assertIn("  the guest powered off, status 0\n", self.paravane(*arguments).stdout)

    def test_says_nothing_of_progress_in_a_pipe(self):
        self.assertNotIn("\r", self.checked.stderr)
        self.assertNotIn("\x1b", self.checked.stderr + self.checked.stdout)

    def test_both_devices_were_worked(self):
        answer = self.checked.json
        for device in ("disk0", "disk1"):
            done = {entry["operation"]: entry["completed"] for entry in answer["commands"] if entry["device"] == device}
            for operation in ("read", "write", "flush"):
                self.assertGreater(done.get(operation, 0), 0, f"{device} {operation}: {done}")

    def test_analysis_of_the_trace_gives_the_same_verdict(self):
        again = self.paravane("analyze", self.trace, "--json")
        self.assert_status(again, PASS)
        for name in ("verdict", "rules", "findings"):
            self.assertEqual(again.json[name], self.checked.json[name])

    def test_rules_can_be_chosen(self):
        chosen = self.paravane("analyze", self.trace, "--json", "--rules", "dma-leak,flush-order")
        self.assert_status(chosen, PASS)
        self.assertEqual(chosen.rules("held"), {"dma-leak", "flush-order"})

    def test_unknown_rule_is_named_with_the_nearest(self):
        self.assert_error(self.paravane("analyze", self.trace, "--rules", "dma-leek"), USAGE, "dma-leek", "dma-leak")

    def test_query_answers_from_views(self):
        mapped = self.paravane("query", self.trace, "--csv", "select count(*) as n from marker_dma_map")
        unmapped = self.paravane("query", self.trace, "--csv", "select count(*) as n from marker_dma_unmap")
        self.assert_status(mapped, PASS)
        counts = [int(next(csv.DictReader(io.StringIO(result.stdout)))["n"]) for result in (mapped, unmapped)]
        self.assertGreater(counts[0], 100)
        self.assertEqual(counts[0], counts[1])
        rows = json.loads(self.paravane("query", self.trace, "--json", "select rule, outcome, observed from rule_result").stdout)
        self.assertEqual(len(rows), len(RULES))

    def test_query_changes_nothing_and_says_what_is_wrong(self):
        self.assert_error(self.paravane("query", self.trace, "delete from event"), USAGE)
        self.assert_error(self.paravane("query", self.trace, "select * from no_such_view"), USAGE, "no_such_view")

    def test_report_is_one_file(self):
        page = self.folder / "report.html"
        self.assert_status(self.paravane("report", self.trace, "--html", page), PASS)
        text = page.read_text()
        self.assertLess(len(text), 8_000_000)
        self.assertNotRegex(text, r'<(script|img|iframe)[^>]+src\s*=\s*["\']?(https?:)?//')
        self.assertNotRegex(text, r'<link[^>]+href\s*=\s*["\']?(https?:)?//')
        for rule in RULES:
            self.assertIn(rule, text)

    def test_report_on_the_terminal_repeats_the_verdict(self):
        shown = self.paravane("report", self.trace)
        self.assertIn("pass", shown.stdout)
        for rule in RULES:
            self.assertRegex(shown.stdout, rf"{rule}\s+held\s+[\d,]+", str(shown))


class Steps(EndToEnd):
    def test_record_then_analyze(self):
        trace = self.folder / "t.db"
        recorded = self.paravane("record", "--output", trace, "--append", "exercise=threads:2,blocks:32", "--disk", "nvme:64M",
                                 "--disk", "virtio-blk:64M")
        self.assert_status(recorded, PASS)
        self.assert_status(self.paravane("analyze", trace), PASS)

    def test_a_guest_that_never_ends_is_incomplete(self):
        result = self.paravane("check", "--json", "--timeout", "6s", "--kernel", BUILD / "lib/paravane/paravane-kernel-test.elf",
                               "--append", "test=hang", "--disk", "nvme:64M", deadline=60)
        self.assertNotIn(result.status, (PASS, FAIL), str(result))
        self.assertEqual(result.json["verdict"], "incomplete")


class Help(EndToEnd):
    def test_every_subcommand_has_examples_and_statuses(self):
        top = self.paravane("--help")
        self.assert_status(top, PASS)
        for subcommand in ("run", "check", "record", "analyze", "query", "report", "domain", "doctor"):
            self.assertRegex(top.stdout, rf"(?m)^\s+{subcommand}\b")
            shown = self.paravane(*(["domain", "xml"] if subcommand == "domain" else [subcommand]), "--help")
            self.assert_status(shown, PASS)
            self.assertTrue(re.search(r"(?i)^examples:", shown.stdout, re.M), shown.stdout)
            self.assertTrue(re.search(r"(?i)^exit status:", shown.stdout, re.M), shown.stdout)

    def test_unknown_subcommand(self):
        result = self.paravane("chekc")
        self.assert_status(result, USAGE)
        self.assertIn("chekc", result.stderr)


if __name__ == "__main__":
    unittest.main()
