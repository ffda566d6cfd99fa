# Set-up without a machine to set up: which mirrors apt_sources finds, what ci/install says when it can do nothing.
# SPDX-License-Identifier: MIT
import os
import pathlib
import shutil
import subprocess
import tempfile
import unittest

TOP = pathlib.Path(__file__).resolve().parents[2]

CLASSIC = """\
# deb http://comment.example/debian bookworm main
deb [arch=amd64 signed-by=/keys/a.gpg,/keys/b.gpg check-valid-until=no] http://one.example/debian bookworm main contrib # why
deb http://security.example/debian-security bookworm-security main
deb cdrom:[Debian GNU/Linux 12]/ bookworm main
deb\thttp://two.example/debian/\tbookworm\tmain
deb http://one.example/debian bookworm main
deb http://other.example/debian bookworm contrib
deb-src http://source.example/debian bookworm main
"""

DEB822 = """\
Enabled: yes
Types: deb deb-src
# a comment inside
URIs: mirror+file:///etc/apt/mirrors/debian.list
  http://three.example/debian
Suites: bookworm bookworm-updates
Components: main
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
 .
 key
 -----END PGP PUBLIC KEY BLOCK-----

Types: deb
Enabled: no
URIs: http://off.example/debian
Suites: bookworm
Components: main

Types: deb
URIs: http://third-party.example/stable
Suites: stable
Components: main
"""


class AptSources(unittest.TestCase):
    def records(self, name, text, *, tool="awk", wanted="bookworm-backports"):
        with tempfile.TemporaryDirectory() as folder:
            file = pathlib.Path(folder, name)
            file.write_text(text)
            output = subprocess.run([tool, "-v", "names=bookworm", "-v", "types=deb", "-v", f"suite={wanted}", "-f",
                                     TOP / "ci/apt-sources.awk", file], check=True, stdout=subprocess.PIPE).stdout.decode()
        self.assertTrue(output == "" or output.endswith("\0"))
        return output.split("\0")[:-1]

    def test_classic_form(self):
        self.assertEqual(self.records("a.list", CLASSIC), [
            "Types: deb\nURIs: http://one.example/debian\nSuites: bookworm-backports\nComponents: main\n"
            "signed-by: /keys/a.gpg /keys/b.gpg\ncheck-valid-until: no\n",
            "Types: deb\nURIs: http://two.example/debian/\nSuites: bookworm-backports\nComponents: main\n",
        ])

    def test_deb822_form(self):
        key = "signed-by:\n -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n key\n -----END PGP PUBLIC KEY BLOCK-----\n"
        self.assertEqual(self.records("a.sources", DEB822), [
            f"Types: deb\nURIs: {uri}\nSuites: bookworm-backports\nComponents: main\n{key}"
            for uri in ("mirror+file:///etc/apt/mirrors/debian.list", "http://three.example/debian")])

    def test_a_machine_without_debian_sources_offers_nothing(self):
        self.assertEqual(self.records("a.list", "deb http://x.example/ubuntu noble main\n"), [])
        self.assertEqual(self.records("a.sources", ""), [])

    def test_apt_accepts_what_is_written(self):
        with tempfile.TemporaryDirectory() as folder:
            for name, text in (("a.list", CLASSIC), ("a.sources", DEB822)):
                for number, record in enumerate(self.records(name, text)):
                    file = pathlib.Path(folder, f"{number}.sources")
                    file.write_text(record)
                    listed = subprocess.run(["apt-get", "-o", f"Dir::Etc::sourcelist={file}", "-o", "Dir::Etc::sourceparts=-", "--print-uris",
                                             "-o", f"Dir::State::lists={folder}/lists", "update"], stdout=subprocess.PIPE,
                                            stderr=subprocess.STDOUT, text=True)
                    self.assertIn("bookworm-backports", listed.stdout)
                    self.assertNotIn("Malformed", listed.stdout)


class Install(unittest.TestCase):
    """ci/install in a copy of the tree's set-up folders."""

    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="set up "))
        self.addCleanup(shutil.rmtree, self.folder)
        shutil.copytree(TOP / "ci", self.folder / "ci")
        shutil.copytree(TOP / "disk-images", self.folder / "disk-images")

    def install(self, user=None, **options):
        return subprocess.run([self.folder / "ci/install"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              text=True, user=user, env={"PATH": os.environ["PATH"]}, timeout=100, **options)

    def have_what_is_fetched(self):
        shutil.copytree(TOP / "build/deps", self.folder / "build/deps")
        shutil.copytree(TOP / "build/guests", self.folder / "build/guests", symlinks=True)

    def test_nothing_missing_is_silent_and_needs_neither_root_nor_network(self):
        self.have_what_is_fetched()
        os.chmod(self.folder, 0o755)
        result = self.install(user=65534 if os.getuid() == 0 else None)
        self.assertEqual((result.returncode, result.stdout, result.stderr), (0, "", ""))

    def test_something_missing_without_root_is_one_line_and_a_hint(self):
        (self.folder / "ci/packages").write_text("cmake the build\nno-such-package-here a reason\n")
        os.chmod(self.folder, 0o755)
        result = self.install(user=65534 if os.getuid() == 0 else None)
        self.assertEqual(result.returncode, 1)
        self.assertEqual(result.stderr, "ci: error: not installed: no-such-package-here\nhint: run ci/install as root once\n")

    def test_debian_guest_is_the_same_bytes_each_time(self):
        self.have_what_is_fetched()
        made = self.folder / "build/guests/debian"
        before = (made / "initrd").read_bytes()
        (made / "initrd").unlink()
        subprocess.run([self.folder / "ci/debian-guest"], check=True)
        self.assertEqual((made / "initrd").read_bytes(), before)


if __name__ == "__main__":
    unittest.main()
