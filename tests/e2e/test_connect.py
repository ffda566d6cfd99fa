# --connect: a daemon of this machine, one that is not there, one of another machine.
# SPDX-License-Identifier: MIT
import pathlib
import unittest

from harness import PARAVANE, PASS, UNAVAILABLE, USAGE, EndToEnd

BESIDE = pathlib.Path(__file__).with_name("beside-libvirtd")


class Connect(EndToEnd):
    def beside_a_daemon(self, *arguments, **options):
        daemon = self.folder / "daemon"
        daemon.mkdir()
        result = self.place.run("--mount", "--propagation", "private", BESIDE, daemon, PARAVANE, *arguments, program="unshare", **options)
        self.assertNotEqual(result.status, 99, "the daemon did not start: " + "\n".join(
            file.read_text(errors="replace")[-3000:] for file in daemon.glob("daemon.*")))
        return result

    def test_a_guest_of_the_systems_daemon(self):
        # The daemon is root's and starts guests for everybody; this one's files are its user's.
        result = self.beside_a_daemon("check", "--connect", "qemu:///system", "--json", "--output", "t.db", "--append",
                                      "exercise=threads:1,blocks:16", "--rules", "dma-leak,cmd-lost")
        self.assert_status(result, PASS)
        self.assertEqual(result.json["guest_end"]["text"], "powered off, status 0")
        self.assertGreater(result.json["counts"]["events"], 1000)
        log = (self.folder / "daemon/daemon.log").read_text(errors="replace")
        self.assertIn("paravane-", log, "the daemon had the guest")

    def test_no_daemon(self):
        # Where nothing listens: a namespace without /run.
        script = 'mount -t tmpfs tmpfs /run || exit 99; exec "$@"'
        result = self.place.run("--mount", "--propagation", "private", "sh", "-c", script, "sh", PARAVANE, "check", "--connect", "qemu:///system",
                                program="unshare")
        self.assert_error(result, UNAVAILABLE, "qemu:///system", "without --connect no daemon is needed")

    def test_another_machine_and_what_is_no_uri(self):
        self.assert_error(self.paravane("check", "--connect", "qemu+ssh://elsewhere/system"), USAGE, "another machine", "run paravane there")
        self.assert_error(self.paravane("check", "--connect", "nonsense:///x"), UNAVAILABLE, "nonsense:///x")


if __name__ == "__main__":
    unittest.main()
