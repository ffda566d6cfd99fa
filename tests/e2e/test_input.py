# What the command says to traces, outputs, guests and hosts that are not what they should be: one line, a hint, the right status.
# SPDX-License-Identifier: MIT
import os
import pathlib
import pwd
import sqlite3
import subprocess
import time
import unittest

from harness import BUILD, DEBIAN_GUEST, INCOMPLETE, LIBRARY, PARAVANE, PASS, UNAVAILABLE, USAGE, EndToEnd

NOBODY = pwd.getpwnam("nobody").pw_uid


class Traces(EndToEnd):
    def each_reader(self, trace, *words):
        for arguments in (("analyze", trace), ("query", trace, "select 1"), ("report", trace)):
            with self.subTest(arguments[0]):
                self.assert_error(self.paravane(*arguments), USAGE, *words)

    def database(self, *statements):
        path = self.folder / "made.db"
        path.unlink(missing_ok=True)
        connection = sqlite3.connect(path)
        for statement in statements:
            connection.execute(statement)
        connection.commit()
        connection.close()
        return path

    def test_missing(self):
        self.each_reader(self.folder / "none.db", "none.db")

    def test_a_folder(self):
        self.each_reader(self.folder, str(self.folder))

    def test_not_a_database(self):
        path = self.folder / "text.db"
        path.write_text("this is a text, and rather a short one\n" * 100)
        self.each_reader(path, "text.db")

    def test_empty(self):
        path = self.folder / "empty.db"
        path.touch()
        self.each_reader(path, "empty.db")

    def test_somebody_elses_database(self):
        self.each_reader(self.database("create table invoice (id integer)"), "made.db")

    def test_other_versions_are_refused_politely(self):
        # A trace by its application id, of a version that was or will be: abi/trace/schema.sql.
        for major, word in ((99, "newer paravane"), (0, "record it again")):
            with self.subTest(major):
                self.each_reader(self.database("create table meta (key text primary key, value text not null) without rowid",
                                               f"pragma application_id = {0x50565452}", f"pragma user_version = {major << 16 | 7}"),
                                 f"version {major}.7", word)

    def test_outputs_that_cannot_be(self):
        folder = self.folder / "results"
        folder.mkdir()
        for arguments in (("check", "--output", folder), ("record", "--output", folder), ("check", "--output", "")):
            with self.subTest(str(arguments)):
                result = self.paravane(*arguments)
                self.assert_error(result, USAGE)
                self.assertLess(result.seconds, 5, "said before the guest is started")
        precious = self.folder / "letter.txt"
        precious.write_text("Dear all,\n")
        self.assert_error(self.paravane("check", "--output", precious), USAGE, "letter.txt")
        self.assertEqual(precious.read_text(), "Dear all,\n", "a file that is no trace is not replaced")

    def test_report_into_a_folder_that_is_not_there(self):
        self.assert_error(self.paravane("report", self.folder / "none.db", "--html", self.folder / "no/such/folder.html"), USAGE)

    def test_output_into_a_folder_that_is_not_there(self):
        result = self.paravane("check", "--output", self.folder / "no/such/t.db")
        self.assert_error(result, USAGE, "no/such")
        self.assertLess(result.seconds, 5, "said before the guest is started")

    def test_names_with_spaces_and_escape_sequences_are_safe_on_the_terminal(self):
        name = "a \x1b[31mred\x1b[0m name.db"
        result = self.paravane("analyze", self.folder / name)
        self.assertNotIn("\x1b", result.stderr)


class Guests(EndToEnd):
    """Kernels, disks and machines that cannot be: said before or instead of a start, and nothing is left."""

    def check(self, *arguments, **options):
        return self.paravane("check", "--output", "t.db", *arguments, **options)

    def file(self, name, content):
        path = self.folder / name
        path.write_bytes(content)
        return path

    def test_kernels(self):
        ours = (LIBRARY / "paravane-kernel.elf").read_bytes()
        for name, content, words in (("empty", b"", ()), ("text", b"no kernel at all\n" * 40, ()),
                                     ("cut", ours[:200], ()), ("small.elf", b"\x7fELF\x01\x01\x01" + bytes(57), ())):
            with self.subTest(name):
                self.assert_error(self.check("--kernel", self.file(name, content)), USAGE, name, *words)
        self.assert_error(self.check("--kernel", "/nowhere/kernel"), USAGE, "/nowhere/kernel")
        self.assert_error(self.check("--kernel", self.folder), USAGE, str(self.folder))
        # An ELF that runs elsewhere, without a PVH note.
        self.assert_error(self.check("--kernel", "/bin/true"), USAGE, "PVH")

    def test_initrd(self):
        self.assert_error(self.check(*DEBIAN_GUEST[:2], "--initrd", "/nowhere/initrd"), USAGE, "/nowhere/initrd")
        self.assert_error(self.check(*DEBIAN_GUEST[:2], "--initrd", self.folder), USAGE, str(self.folder))
        self.assert_error(self.check(*DEBIAN_GUEST[:2], "--initrd", self.file("nothing.cpio", b"")), USAGE, "nothing.cpio", "empty")

    def test_disks(self):
        for disk, word in (("nvme:/nowhere/disk", "/nowhere/disk"), ("nvme:-5", "-5"), ("nvme:0", "0"), ("floppy:64M", "floppy"),
                           ("nvme:", "nvme"), ("nvme:64Q", "64Q"), ("nvme:99999999999999999999", "99999999999999999999")):
            with self.subTest(disk):
                self.assert_error(self.check("--disk", disk), USAGE, word)

    def test_a_disk_that_another_guest_has(self):
        image = self.file("disk.img", bytes(1 << 20))
        holder = subprocess.Popen(["qemu-system-x86_64", "-machine", "q35", "-display", "none", "-S", "-nodefaults", "-drive",
                                   f"file={image},format=raw,if=none,id=d", "-device", "virtio-blk-pci,drive=d"],
                                  stdin=subprocess.DEVNULL, env=self.place.environment())
        try:
            for _ in range(100):
                if any(os.path.realpath(link) == str(image) for link in pathlib.Path(f"/proc/{holder.pid}/fd").iterdir()):
                    break
                time.sleep(0.1)
            time.sleep(0.3)  # the lock comes right after the file is open
            self.assert_error(self.check("--disk", f"virtio-blk:{image}"), USAGE, "in use")
        finally:
            holder.kill()
            holder.wait()

    def test_machines(self):
        for option, value in (("--memory", "1"), ("--memory", "-1"), ("--memory", "many"), ("--smp", "0"), ("--smp", "-1"),
                              ("--smp", "100000"), ("--timeout", "soon"), ("--timeout", "-1s")):
            with self.subTest(f"{option} {value}"):
                self.assert_error(self.check(option, value), USAGE, option)
        for memory in ("100000G", "18446744073709551615"):
            with self.subTest(memory):
                result = self.check("--memory", memory)
                self.assert_error(result, USAGE, "memory", "--memory")
                self.assertLess(result.seconds, 5, "said before the guest is started")

    def test_fault_plans(self):
        for plan, word in (("stall", "stall"), ("melt disk0 read", "melt"), ("stall disk0 read for 5", "5"), ("fail disk0 write 3 EWHAT", "EWHAT"),
                           ("stall disk9 read for 5s", "disk9")):
            with self.subTest(plan):
                self.assert_error(self.check("--fault", plan), USAGE, word)


class Hosts(EndToEnd):
    """Machines that lack something: status 4, and what to install."""

    def test_an_old_qemu(self):
        old = self.folder / "qemu-system-x86_64"
        old.write_text("#!/bin/sh\necho 'QEMU emulator version 7.2.11 (Debian 1:7.2+dfsg-7)'\n")
        old.chmod(0o755)
        result = self.paravane("check", environment=self.place.environment(PARAVANE_QEMU=str(old)))
        self.assert_error(result, UNAVAILABLE, "7.2.11", "9.1")

    def test_a_qemu_without_plugins(self):
        # The real QEMU, but for the option a build without plugins refuses, in its words (QEMU 9.1 to 10.0,
        # include/qemu/plugin.h).
        plain = self.folder / "qemu-system-x86_64"
        plain.write_text("#!/bin/sh\nfor word; do if [ \"$word\" = -plugin ]; then\n"
                         "echo 'qemu-system-x86_64: plugin interface not enabled in this build' >&2; exit 1; fi; done\n"
                         "exec /usr/bin/qemu-system-x86_64 \"$@\"\n")
        plain.chmod(0o755)
        environment = self.place.environment(PARAVANE_QEMU=str(plain))
        self.assert_error(self.paravane("check", environment=environment), UNAVAILABLE, "without TCG plugins", "9.1", "doctor")
        self.assertRegex(self.paravane("doctor", environment=environment).stdout, "plugin +MISSING .*not enabled")

    def test_no_qemu(self):
        result = self.paravane("check", environment=self.place.environment(PARAVANE_QEMU="/nowhere/qemu"))
        self.assert_error(result, UNAVAILABLE, "/nowhere/qemu", "unset it")

    def test_no_driver_of_libvirt(self):
        result = self.paravane("check", environment=self.place.environment(LIBVIRT_DRIVER_DIR=str(self.folder)))
        self.assert_error(result, UNAVAILABLE, "libvirt")

    def test_no_plugin(self):
        library = self.folder / "lib"
        library.mkdir()
        for part in LIBRARY.iterdir():
            if "libparavane-plugin" not in part.name:
                (library / part.name).symlink_to(part)
        result = self.paravane("check", environment=self.place.environment(PARAVANE_LIBDIR=str(library)))
        self.assert_error(result, UNAVAILABLE, "plugin")

    def in_namespace(self, preparation, *arguments, **options):
        """Runs the command where `preparation` (shell, $1 is this test's folder) changed mounts for it alone."""
        # The shell that prepares is gone by exec: the status and the output are the command's.
        script = f'{preparation} || exit 99; shift; exec "$@"'
        return self.place.run("--mount", "--propagation", "private", "sh", "-c", script, "sh", self.folder, PARAVANE, *arguments,
                              program="unshare", **options)

    def test_a_full_disk(self):
        # The trace's place is full: what was written stays readable.
        (self.folder / "full").mkdir()
        script = 'mount -t tmpfs -o size=1m tmpfs "$1/full"; "$2" check --output "$1/full/t.db"; status=$?; cp "$1"/full/t.db* "$1"; exit $status'
        result = self.place.run("--mount", "--propagation", "private", "sh", "-c", script, "sh", self.folder, PARAVANE, program="unshare")
        self.assert_status(result, INCOMPLETE)
        self.assertEqual(len([line for line in result.stderr.splitlines() if line.startswith("paravane: ")]), 1, str(result))
        self.assertIn("space", result.stderr + result.stdout)
        self.assert_status(self.paravane("query", self.folder / "t.db", "select count(*) from event"), PASS)

    def test_no_user_of_libvirt(self):
        # As root libvirt looks for the user its packages make.
        passwd = [line for line in pathlib.Path("/etc/passwd").read_text().splitlines() if not line.startswith("libvirt-qemu:")]
        (self.folder / "passwd").write_text("\n".join(passwd) + "\n")
        prepare = 'mount --bind "$1/passwd" /etc/passwd'
        self.assert_error(self.in_namespace(prepare, "check"), UNAVAILABLE, "libvirt-qemu", "useradd")
        shown = self.in_namespace(prepare, "doctor")
        self.assert_status(shown, UNAVAILABLE)
        self.assertRegex(shown.stdout, r"(?s)libvirt +MISSING.*useradd .*libvirt-qemu")


class Strangers(EndToEnd):
    """A user who may not: no right to a file or folder, and no less clear words for it."""

    def setUp(self):
        super().setUp()
        # Reachable for everybody, but nothing of it writable.
        self.folder.chmod(0o755)
        self.home = self.folder / "home"
        self.home.mkdir()
        (self.folder / "build").mkdir()
        os.chown(self.home, NOBODY, NOBODY)

    def as_nobody(self, *arguments, **changes):
        environment = self.place.environment(**{"TMPDIR": str(self.home), "HOME": str(self.home), "XDG_RUNTIME_DIR": None, **changes})
        # The build may lie where nobody else reaches, as in /root: it is mounted into this test's folder.
        script = f'mount --bind "$1" "$2" && cd / && command=$2/bin/paravane && shift 2 && exec setpriv --reuid={NOBODY} --regid={NOBODY} --clear-groups "$command" "$@"'
        return self.place.run("--mount", "--propagation", "private", "sh", "-c", script, "sh", BUILD, self.folder / "build", *arguments,
                              program="unshare", environment=environment)

    def test_a_check_of_ones_own(self):
        result = self.as_nobody("check", "--json", "--output", self.home / "t.db", "--append", "exercise=threads:1,blocks:16")
        self.assert_status(result, PASS)
        self.assertEqual((self.home / "t.db").stat().st_uid, NOBODY)
        self.assertEqual([path.name for path in self.home.iterdir() if path.name.startswith("paravane")], [], "left in TMPDIR")

    def test_what_may_not_be_read_or_written(self):
        secret = self.folder / "secret.img"
        secret.write_bytes(bytes(1 << 20))
        secret.chmod(0o600)
        for arguments, word in ((("check", "--output", self.folder / "t.db"), "t.db"),
                                (("check", "--output", self.home / "t.db", "--kernel", secret), "secret.img"),
                                (("check", "--output", self.home / "t.db", "--disk", f"nvme:{secret}"), "secret.img"),
                                (("check", "--output", self.home / "t.db", "--initrd", secret), "secret.img"),
                                (("analyze", secret), "secret.img"), (("report", secret), "secret.img")):
            with self.subTest(str(arguments)):
                self.assert_error(self.as_nobody(*arguments), USAGE, word, "permi")
        self.assertFalse((self.folder / "t.db").exists())

    def test_a_temporary_folder_that_is_not_writable(self):
        result = self.as_nobody("check", "--output", self.home / "t.db", TMPDIR=str(self.folder))
        self.assert_error(result, UNAVAILABLE, str(self.folder), "TMPDIR")


if __name__ == "__main__":
    unittest.main()
