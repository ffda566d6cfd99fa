# What the command says to traces, outputs, guests and hosts that are not what they should be: one line, a hint, the right status.
# SPDX-License-Identifier: MIT
import os
import pathlib
import sqlite3
import subprocess
import time
import unittest

from harness import DEBIAN_GUEST, INCOMPLETE, LIBRARY, PASS, UNAVAILABLE, USAGE, EndToEnd


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

    def test_a_newer_version_is_refused_politely(self):
        self.each_reader(self.database("create table meta (key text primary key, value text not null) without rowid",
                                       "insert into meta values ('schema_major', '99'), ('schema_minor', '0')"))

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

    def test_no_qemu(self):
        result = self.paravane("check", environment=self.place.environment(PARAVANE_QEMU="/nowhere/qemu"))
        self.assertIn(result.status, (USAGE, UNAVAILABLE), str(result))
        self.assertIn("/nowhere/qemu", result.stderr)

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

    def test_a_full_disk(self):
        # The trace's place is full: what was written stays readable.
        full = self.folder / "full"
        full.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(full)], check=True)
        try:
            result = self.paravane("check", "--output", full / "t.db")
            self.assert_status(result, INCOMPLETE)
            self.assertEqual(len([line for line in result.stderr.splitlines() if line.startswith("paravane: ")]), 1, str(result))
            self.assertIn("space", result.stderr + result.stdout)
            self.assert_status(self.paravane("query", full / "t.db", "select count(*) from event"), PASS)
        finally:
            subprocess.run(["umount", str(full)], check=True)


if __name__ == "__main__":
    unittest.main()
