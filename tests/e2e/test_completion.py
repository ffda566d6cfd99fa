# Bash's completion, as bash does it: subcommands, options, files, folders, disks, rules.
# SPDX-License-Identifier: MIT
import subprocess
import unittest

from harness import BUILD, PARAVANE, RULES, EndToEnd

SCRIPT = BUILD / "share/bash-completion/completions/paravane"
# Words as readline divides them; compopt works only while a person completes.
ASK = 'compopt() { :; }; source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _paravane; printf "%s\\n" "${COMPREPLY[@]}"'


class Completion(EndToEnd):
    def complete(self, *words):
        done = subprocess.run(["bash", "--norc", "-euc", ASK, "bash", SCRIPT, "paravane", *words], cwd=self.folder, capture_output=True,
                              text=True, timeout=20)
        self.assertEqual((done.returncode, done.stderr), (0, ""), words)
        return set(done.stdout.split("\n")) - {""}

    def setUp(self):
        super().setUp()
        (self.folder / "results").mkdir()
        (self.folder / "trace one.db").touch()

    def test_it_is_bound_to_the_command(self):
        bound = subprocess.run(["bash", "--norc", "-c", 'source "$1"; complete -p paravane', "bash", SCRIPT], capture_output=True, text=True,
                               check=True)
        self.assertEqual(bound.stdout, "complete -F _paravane paravane\n")

    def test_subcommands(self):
        self.assertEqual(self.complete(""), {"run", "check", "record", "analyze", "query", "report", "domain", "image", "doctor"})
        self.assertEqual(self.complete("re"), {"record", "report"})
        self.assertEqual(self.complete("domain", ""), {"xml"})
        self.assertEqual(self.complete("--"), {"--help", "--help-all", "--version"})

    def test_every_option_that_help_names(self):
        for subcommand in (["run"], ["check"], ["record"], ["analyze"], ["query"], ["report"], ["domain", "xml"], ["doctor"]):
            with self.subTest(subcommand):
                text = subprocess.run([PARAVANE, *subcommand, "--help"], capture_output=True, text=True, check=True).stdout
                listed = {word.rstrip(",") for line in text.split("\nExamples:")[0].splitlines() if line.startswith("  -")
                          for word in line.split("  ")[1].replace(",", " ").split() if word.startswith("--")}
                self.assertGreater(len(listed), 1)
                self.assertEqual(self.complete(*subcommand, "--"), listed)
        self.assertEqual(self.complete("check", "--ke"), {"--kernel", "--keep"})

    def test_files_and_folders(self):
        own = self.place.temporary.name
        everything = {"results", own, "trace one.db"}
        for words in (("check", "--kernel", ""), ("check", "-o", ""), ("check", "--output", "=", ""), ("report", ""), ("query", ""),
                      ("analyze", "--quiet", ""), ("check", "--disk", "nvme", ":", "")):
            with self.subTest(words):
                self.assertEqual(self.complete(*words), everything)
        self.assertEqual(self.complete("report", "tra"), {"trace one.db"})
        self.assertEqual(self.complete("check", "--keep", ""), {"results", own})

    def test_values(self):
        self.assertEqual(self.complete("check", "--disk", ""), {"nvme:", "virtio-blk:"})
        self.assertEqual(self.complete("run", "--accel", ""), {"tcg", "kvm"})
        self.assertEqual(self.complete("check", "--iommu", "v"), {"virtio"})
        self.assertEqual(self.complete("run", "--net", ""), {"none", "user", "listen:", "connect:"})
        self.assertLessEqual({"all", "no-markers", *RULES}, self.complete("check", "--rules", ""))
        self.assertEqual(self.complete("analyze", "--rules", "cmd-lost,dma-d"),
                         {"cmd-lost,dma-direction", "cmd-lost,dma-double-map", "cmd-lost,dma-descriptor"})
        # A size or a text is the user's own: nothing is offered, no subcommand and no file either.
        for words in (("check", "--memory", ""), ("check", "--append", "e"), ("check", "")):
            self.assertEqual(self.complete(*words), set(), words)


if __name__ == "__main__":
    unittest.main()
