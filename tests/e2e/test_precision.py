# What loads a kernel hard, on an unmodified Debian kernel with its profile and the probes of every load and store: not one finding.
# SPDX-License-Identifier: MIT
import json
import unittest

from harness import DEBIAN, PASS
from kernel_module import here
from test_image import Images
from test_ownership import RACE, UNSTABLE
from test_profile import PROFILE
from test_profile_memory import PROMISES

MAPPINGS = {"dma-outside-mapping", "dma-after-unmap", "dma-direction", "dma-double-map"}
PROBED = {"tlb-stale-use", "tlb-global-kept", "pt-write-exec", "pt-user-reaches-kernel", "pt-reserved-bits", RACE}
# How much of each: rounds of each stressor, MiB that are used of a memory of 512, MiB that fio writes on each disk.
TIMES = {"memory": 5, "scheduler": 10, "pipes": 10, "forks": 100, "swap": 480, "fio": 8}
DISKS = ("--disk", "nvme:256M", "--disk", "virtio-blk:256M")


def pad(data):
    return data + bytes(-len(data) % 4)


class Precision(Images):
    def initrd(self, program):
        """The image of the programs, the second guest's shell and modules over it, and what starts them."""
        folder = here("guest/precision")
        built = self.paravane("image", "build", folder / f"{program}.toml", "-o", "programs.cpio")
        self.assert_status(built, 0)
        name = b"init\0"
        code = (folder / "init").read_bytes()
        fields = (0, 0o100755, 0, 0, 1, 0, len(code), 0, 0, 0, 0, len(name), 0)
        header = b"070701" + b"".join(b"%08x" % field for field in fields)
        parts = [(self.folder / "programs.cpio").read_bytes(), (DEBIAN / "initrd").read_bytes(), pad(header + name) + pad(code)]
        (self.folder / "initrd").write_bytes(b"".join(pad(part) for part in parts))
        return "initrd"

    def load(self, what, processors, times=None, seconds=1500):
        """Runs it; answers what was followed."""
        rules = ["no-markers", *sorted(MAPPINGS | PROMISES)]
        result = self.paravane("check", "--json", "--output", "t.db", "--profile", PROFILE, "--probe", "tlb", "--probe", "ownership",
                               "--smp", str(processors), "--timeout", f"{seconds}s", "--kernel", DEBIAN / "vmlinuz", "--initrd",
                               self.initrd("fio" if what == "fio" else "stress-ng"),
                               "--append", f"console=ttyS0 quiet no_timer_check panic=1 precision.do={what} precision.times={times or TIMES[what]}", *DISKS,
                               "--rules", ",".join(rules), deadline=seconds + 60)
        # The advice is explained: docs/findings.md, "A page that is written while it is on its way to the disk".
        self.assertEqual([one for one in result.json["findings"] if one["rule"] != UNSTABLE], [], str(result))
        self.assertEqual(result.json["guest_end"]["text"], "powered off, status 0", self.console())
        self.assert_status(result, PASS)
        self.assertLessEqual(PROBED | PROMISES, result.rules("held"), str(result))
        self.assertEqual(self.asked("select lost from plugin_goodbye"), [{"lost": 0}])
        seen = self.asked("select changes, skipped from translation order by seq desc limit 1")[0]
        self.assertEqual(seen["skipped"], 0, seen)
        return {rule["rule"]: rule["observed"] for rule in result.json["rules"]}, seen

    def asked(self, sql):
        return json.loads(self.paravane("query", "t.db", "--json", sql).stdout)

    def console(self):
        return self.asked("select value from meta where key = 'console'")[0]["value"]

    def counted(self, name):
        """A number of /proc/vmstat, at the end."""
        words = self.console().split()
        return int(words[words.index(name) + 1])


class Sample(Precision):
    """What every run of the tests looks at."""

    def test_two_processors(self):
        _, seen = self.load("sample", 2, times=2, seconds=200)
        self.assertGreater(seen["changes"], 5_000)


class Load(Precision):
    def stress(self, what, processors):
        _, seen = self.load(what, processors)
        self.assertGreater(seen["changes"], 20_000)

    def swap(self, processors):
        observed, _ = self.load("swap", processors)
        self.assertGreater(self.counted("pswpout"), 5_000)
        self.assertGreater(self.counted("pswpin"), 1_000)
        self.assertGreater(observed[RACE], 1_000)

    def fio(self, processors):
        observed, _ = self.load("fio", processors)
        self.assertGreater(observed[RACE], 2_000)
        self.assertGreater(observed["dma-after-unmap"], 500)


def add_tests():
    for processors, words in ((1, "one_processor"), (2, "two_processors"), (4, "four_processors")):
        for what in ("memory", "scheduler", "pipes", "forks"):
            setattr(Load, f"test_{what}_on_{words}", lambda self, n=processors, w=what: self.stress(w, n))
        setattr(Load, f"test_swap_on_{words}", lambda self, n=processors: self.swap(n))
        setattr(Load, f"test_fio_on_{words}", lambda self, n=processors: self.fio(n))


add_tests()

if __name__ == "__main__":
    unittest.main()
