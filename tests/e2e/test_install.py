# What `cmake --install` puts in place works from there, whatever the place is called.
# SPDX-License-Identifier: MIT
import json
import os
import subprocess
import unittest

from harness import BUILD, PASS, EndToEnd


class Installed(EndToEnd):
    def test_the_installed_command_checks_a_guest(self):
        prefix = self.folder / "a prefix"
        subprocess.run(["cmake", "--install", BUILD, "--prefix", prefix], check=True, stdout=subprocess.DEVNULL)
        command = prefix / "bin/paravane"
        library = prefix / "lib/paravane"
        for name in ("libparavane-plugin.so", "nbdkit-paravane-plugin.so", "paravane-kernel.elf", "paravane-kernel-misbehave.elf"):
            self.assertTrue((library / name).is_file(), name)
        self.assertTrue(any((library / "report").iterdir()))
        self.assertTrue((prefix / "include/paravane/marker.h").is_file())
        self.assertIn("complete -F _paravane paravane", (prefix / "share/bash-completion/completions/paravane").read_text())
        for page in ("", "-run", "-check", "-record", "-analyze", "-query", "-report", "-domain-xml", "-doctor"):
            manual = prefix / f"share/man/man1/paravane{page}.1"
            said = subprocess.run(["groff", "-man", "-ww", "-Tutf8", manual], capture_output=True, text=True, check=True)
            self.assertEqual(said.stderr, "", manual)
            self.assertIn(f"paravane{page}", said.stdout)
            self.assertNotIn("./paravane", said.stdout)
            self.assertIn("isolation" if page == "" else "--help", said.stdout)
        version = subprocess.run([command, "--version"], capture_output=True, text=True, check=True).stdout
        self.assertRegex(version, r"^paravane \d+\.\d+\.\d+\n$")
        # Nothing of the build folder is used: neither by a name inside the command nor by the loader.
        for path in (command, library / "libparavane-plugin.so", library / "nbdkit-paravane-plugin.so"):
            self.assertNotIn(os.fsencode(BUILD), path.read_bytes(), path.name)
        result = self.paravane("check", "--json", "--output", "t.db", "--append", "exercise=threads:1,blocks:16", "--rules", "dma-leak",
                               program=command)
        self.assert_status(result, PASS)
        kernel = json.loads(result.stdout)["run"].get("kernel", "")
        self.assertIn(str(library), kernel)


if __name__ == "__main__":
    unittest.main()
