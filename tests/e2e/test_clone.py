# --domain: a copy of a domain that is there already is checked, and the domain is as it was.
# SPDX-License-Identifier: MIT
import hashlib
import pathlib
import shlex
import subprocess
import unittest

from harness import LIBRARY, PARAVANE, PASS, USAGE, EndToEnd

COMMAND = shlex.quote(str(PARAVANE))
BESIDE = pathlib.Path(__file__).with_name("beside-libvirtd")
DOMAIN = """<domain type='{type}'>
  <name>appliance</name>
  <memory unit='MiB'>256</memory>
  <vcpu>2</vcpu>
  <os>
    <type arch='x86_64' machine='q35'>hvm</type>
    <kernel>{kernel}</kernel>
    <cmdline>{command_line}</cmdline>
  </os>
  <features><acpi/><apic/></features>
  <on_reboot>restart</on_reboot>
  <devices>
    <disk type='file' device='disk'>
      <driver name='qemu' type='{format}' cache='none'/>
      <source file='{image}'/>
      <target dev='vda' bus='virtio'/>
      <serial>original</serial>
      <address type='pci' domain='0x0000' bus='0x00' slot='0x05' function='0x0'/>
    </disk>
    <interface type='network'><source network='default'/><model type='e1000e'/>
      <address type='pci' domain='0x0000' bus='0x00' slot='0x06' function='0x0'/></interface>
    <graphics type='vnc' autoport='yes'/>
    <filesystem type='mount'><source dir='/srv'/><target dir='srv'/></filesystem>
  </devices>
</domain>
"""


class Clone(EndToEnd):
    def setUp(self):
        super().setUp()
        self.xml = self.folder / "appliance.xml"

    def write(self, format="raw", type="kvm", command_line="exercise=threads:2,blocks:64"):
        self.image = self.folder / f"disk.{format}"
        subprocess.run(["qemu-img", "create", "-q", "-f", format, self.image, "32M"], check=True)
        with open(self.image, "r+b") as file:
            file.seek(0 if format == "raw" else 1 << 20)
            file.write(b"the original's" * 1000)
        self.xml.write_text(DOMAIN.format(kernel=LIBRARY / "paravane-kernel.elf", image=self.image, format=format, type=type,
                                          command_line=command_line))
        self.before = self.state()

    def state(self):
        return hashlib.sha256(self.image.read_bytes()).hexdigest(), self.image.stat().st_mtime_ns

    def assert_untouched(self):
        self.assertEqual(self.state(), self.before, "the original's disk changed")

    def quoted(self):
        return shlex.quote(str(self.xml))

    def beside_a_daemon(self, script):
        daemon = self.folder / "daemon"
        daemon.mkdir()
        result = self.place.run("--mount", "--propagation", "private", BESIDE, daemon, "sh", "-euc", script, program="unshare")
        self.assertNotEqual(result.status, 99, "the daemon did not start: " + "\n".join(
            file.read_text(errors="replace")[-3000:] for file in daemon.glob("daemon.*")))
        return result

    def test_a_description_in_a_file(self):
        self.write()
        result = self.paravane("check", "--domain", str(self.xml), "--json", "--output", "t.db", "--rules", "all,-mmio-poll-unbounded")
        self.assert_status(result, PASS)
        self.assertEqual(result.json["guest_end"]["text"], "powered off, status 0")
        # What only the guest's own markers tell was told about the copy's disk.
        self.assertIn("dma-leak", result.rules("held"))
        devices = self.paravane("query", "t.db", "select name, bdf, kind from device order by bdf")
        self.assertRegex(devices.stdout, r"vda\W+40\W+virtio-blk")
        for words in ("no link", "filesystem is left out"):
            self.assertIn(words, result.stderr)
        self.assert_untouched()

    def test_a_domain_of_the_daemons(self):
        self.write("qcow2", type="qemu")
        result = self.beside_a_daemon(
            f"virsh -q define {self.quoted()} >&2; before=$(virsh dumpxml --inactive appliance); "
            f"{COMMAND} check --domain appliance --json --output t.db --rules dma-leak,cmd-lost; "
            "[ \"$(virsh domstate appliance | head -1)\" = 'shut off' ]; [ \"$(virsh dumpxml --inactive appliance)\" = \"$before\" ]; "
            "[ \"$(virsh -q list --all --name | grep -c .)\" = 1 ]")
        self.assert_status(result, PASS)
        self.assertEqual(result.json["verdict"], "pass")
        self.assert_untouched()

    def test_one_that_runs_is_refused(self):
        self.write(type="qemu", command_line="exercise=threads:1,rounds:100000")
        xml = self.xml.read_text().replace("<filesystem type='mount'><source dir='/srv'/><target dir='srv'/></filesystem>", "")
        self.xml.write_text(xml.replace("type='network'><source network='default'/>", "type='user'>"))
        result = self.beside_a_daemon(
            f"virsh -q define {self.quoted()} >&2; virsh -q start --paused appliance >&2; "
            f"status=0; {COMMAND} check --domain appliance || status=$?; "
            f"file=0; {COMMAND} check --domain {self.quoted()} || file=$?; virsh -q destroy appliance >&2; echo $status $file")
        self.assert_status(result, PASS)
        self.assertEqual(result.stdout.split(), [str(USAGE), str(USAGE)], result)
        self.assertIn("'appliance' is running", result.stderr)
        self.assertIn("a disk is in use by another process", result.stderr)

    def test_its_description_can_be_looked_at(self):
        self.write()
        result = self.paravane("domain", "xml", "--domain", str(self.xml))
        self.assert_status(result, PASS)
        self.assertIn("overlay0.qcow2", result.stdout)
        self.assertNotIn(str(self.image), result.stdout)

    def test_what_cannot_be_copied(self):
        self.assert_error(self.paravane("check", "--domain", "./missing.xml"), USAGE, "missing.xml")
        self.write()
        self.assert_error(self.paravane("check", "--domain", str(self.xml), "--disk", "nvme:64M"), USAGE, "--disk", "--domain")
        self.xml.write_text(self.xml.read_text().replace("type='raw'", "type='qcow2'"))
        self.assert_error(self.paravane("check", "--domain", str(self.xml)), USAGE, "'vda'")
        self.xml.write_text("<domain type='kvm'><name>x")
        self.assert_error(self.paravane("check", "--domain", str(self.xml)), USAGE, "no XML")
        self.assert_untouched()


if __name__ == "__main__":
    unittest.main()
