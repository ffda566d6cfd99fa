# Programs and test suites that were not written here, on our own kernel, judged by their own status and words.
# SPDX-License-Identifier: MIT
#
# PV_SUITES_KERNEL=vmlinuz runs the same on a Linux kernel: what fails there, too, is not ours.
import os
import re
import shutil
import unittest

from harness import BUILD, SOURCE
from test_image import Images

SUITES = SOURCE / "tests/e2e/suites"
OTHER_KERNEL = os.environ.get("PV_SUITES_KERNEL")

# Python's own tests that fail on our kernel, and why: counted and shown. One that passes is an error: it is to leave this list.
KNOWN = {}

# Stressors by what they load, each with its count of rounds. Debian's stress-ng refuses to run `exec` as root.
STRESSORS = {
    "memory": "vm:20 malloc:20 brk:20 stack:20 mmap:20 mremap:20 memcpy:20 shm-sysv:20",
    "scheduler": "fork:20 vfork:20 wait:20 pthread:20 switch:20 context:20 yield:20 futex:20 sem:20 mutex:20 cpu:20 clock:20 "
                 "nanosleep:20 timer:20 timerfd:20",
    "pipes": "pipe:20 fifo:20 poll:20 epoll:20 eventfd:20 sockpair:20",
    "files": "hdd:20 dir:20 dentry:20 rename:20 link:20 fallocate:20 fstat:20 getdent:20 inotify:20",
    "signals": "signal:20 sigsegv:20 sigq:20 sigfpe:20 signest:20 sigsuspend:20 sigpipe:20 sigchld:20 sigio:20 kill:20",
}
SAMPLE = "fork:5 fallocate:1 signal:20"

START = {
    "gdb": 'gdb -batch -nx -ex "break twice" -ex run -x commands.gdb ./debugged',
    "gdbserver": 'gdb -batch -nx -ex "set sysroot /" -ex "file debugged" -ex "break twice" '
                 '-ex "target remote | gdbserver --once - ./debugged" -ex continue -x commands.gdb',
}
# What a debugger sees of the program, in this order.
SEEN = r"""Breakpoint 1, (\S+ in )?twice \(number=1\) at (\S*/)?debugged.c:\d+
#0 +twice \(number=1\) at (\S*/)?debugged.c:\d+
#1 +0x[0-9a-f]+ in main \(\) at (\S*/)?debugged.c:\d+
add \(number=1\) at (\S*/)?debugged.c:\d+
\d+\s+return total;
0x[0-9a-f]+ in twice \(number=1\) at (\S*/)?debugged.c:\d+
Value returned is \$1 = 1
Hardware assisted breakpoint 2 at 0x[0-9a-f]+: file .*
Breakpoint 2, (\S+ in )?twice \(number=2\) at (\S*/)?debugged.c:\d+
.*hit Temporary breakpoint 3, other \(unused=0x0\) at (\S*/)?debugged.c:\d+
\* 2 +Thread .*other \(unused=0x0\) at (\S*/)?debugged.c:\d+
#0 +other \(unused=0x0\) at (\S*/)?debugged.c:\d+
\$2 = 22
Hardware watchpoint 4: total
.*hit Hardware watchpoint 4: total
Old value = 22
New value = 1022
Hardware read watchpoint 5: total
.*hit Hardware read watchpoint 5: total
Value = 1022
.*received signal SIGUSR1, User defined signal 1\.
\$3 = 1022
\$4 = 10
\[Inferior 1 \(process \d+\) exited with code 05\]
status 0"""


class Suites(Images):
    KERNEL = ("--kernel", OTHER_KERNEL) if OTHER_KERNEL else ()

    def setUp(self):
        super().setUp()
        for source in SUITES.iterdir():
            shutil.copy(source, self.folder)
        shutil.copy(BUILD / "tests/e2e/debugged", self.folder)

    def run_suite(self, recipe, processors, *words):
        """What the command printed; it must have come to its end."""
        result = self.paravane("run", recipe, *self.KERNEL, "--smp", str(processors), "--timeout", "1500s", "--", *words, deadline=1600)
        self.assertNotIn("timeout", result.stderr, str(result))
        return result

    def stress(self, processors, stressors):
        """Each stressor on each processor; `--verify` is its own judgement."""
        script = "cd /tmp; " + "; ".join(
            f"stress-ng --{name} {processors} --{name}-ops {rounds} --timeout 60 --verify --no-rand-seed --temp-path /tmp 2>&1; echo {name} status $?"
            for name, rounds in (item.split(":") for item in stressors.split()))
        result = self.run_suite("./stress.toml", processors, "sh", "-c", script)
        statuses = dict(re.findall(r"^(\S+) status (\d+)\s*$", result.stdout, re.MULTILINE))
        names = [item.split(":")[0] for item in stressors.split()]
        self.assertEqual(list(statuses), names, str(result))
        self.assertEqual({name: status for name, status in statuses.items() if status != "0"}, {}, str(result))
        self.assertEqual(result.stdout.count("successful run completed"), len(names), str(result))
        self.assertEqual(re.findall(r"stress-ng: (?:error|fail).*", result.stdout), [], str(result))

    def debug(self, processors, way):
        result = self.run_suite("./debugger.toml", processors, "sh", "-c", f"cd /srv; {START[way]} 2>&1; echo status $?")
        lines = iter(result.stdout.splitlines())
        for wanted in SEEN.splitlines():
            self.assertTrue(any(re.match(wanted, line) for line in lines), f"not seen: {wanted}\n{result}")
        # What it cannot do it says.
        self.assertEqual(re.findall(r".*(?:Error disabling|opening /proc|annot access|annot insert).*", result.stdout), [])

    def python(self, processors, module):
        """The module's own judgement; what fails is run a second time by itself, as on Python's own machines."""
        result = self.run_suite("python", processors, "python3", "-m", "test", "-v", "-w", module)
        again = result.stdout.rpartition("Re-running failed tests")[2]
        failed = set(re.findall(r"^(?:ERROR|FAIL): .*\((\S+?)\)(?: .*)?$", again, re.MULTILINE)) if "Re-running" in result.stdout else set()
        known = {name for name in KNOWN if name.startswith(f"test.{module}.")} if not OTHER_KERNEL else set()
        print(f"{module}, {processors} processors: {re.findall(r'^Ran .*', result.stdout, re.MULTILINE)[:1]}, "
              f"{len(known)} known to differ" + "".join(f"\n  {name}: {KNOWN[name]}" for name in sorted(known)), flush=True)
        self.assertEqual(failed, known, str(result))
        self.assertEqual(result.status == 0, not known, str(result))
        self.assertRegex(result.stdout, r"Ran [1-9]\d* tests")


class Sample(Suites):
    """What every run of the tests looks at."""

    def test_debugger(self):
        self.debug(4, "gdbserver")

    def test_stress(self):
        self.stress(4, SAMPLE)


class Debugger(Suites):
    def test_gdb_one_processor(self):
        self.debug(1, "gdb")

    def test_gdb_four_processors(self):
        self.debug(4, "gdb")

    def test_gdbserver_one_processor(self):
        self.debug(1, "gdbserver")

    def test_gdbserver_four_processors(self):
        self.debug(4, "gdbserver")


class Stress(Suites):
    """One test for each class of stressors and each number of processors."""


class Python(Suites):
    """One test for each module and each number of processors."""


def add_tests():
    for processors, words in ((1, "one_processor"), (4, "four_processors")):
        for kind, stressors in STRESSORS.items():
            setattr(Stress, f"test_{kind}_{words}", lambda self, n=processors, s=stressors: self.stress(n, s))
        for module in ("test_os", "test_io", "test_threading", "test_subprocess", "test_signal", "test_select", "test_mmap",
                       "test_selectors", "test_posix", "test_pty"):
            setattr(Python, f"{module}_{words}", lambda self, n=processors, m=module: self.python(n, m))


add_tests()


class Perl(Suites):
    """Its core modules, and the programs that come with it."""

    COMMANDS = (
        ("perl /srv/core_modules.pl | tail -1", "1..49"),
        ("prove /srv/core_modules.pl | tail -1", "Result: PASS"),
        ("seq 100 | shasum -a 256", "93d4e5c77838e0aa5cb6647c385c810a7c2782bf769029e6c420052048ab22bb  -"),
        ("""echo '{"b":[1,2],"a":null}' | json_pp -json_opt canonical; echo""", '{"a":null,"b":[1,2]}'),
        ("corelist strict | tail -1", "strict was first released with perl 5"),
        ("printf 'gr\\374n\\n' | piconv -f latin1 -t utf8", "grün"),
        ("mkdir d; seq 10 >d/f; ptar -cf d.tar d; ptar -tf d.tar | sort | tail -1", "d/f"),
        ("perl -MO=Deparse -e 'print 6*7' 2>/dev/null", "print 42;"),
        ("pod2text /usr/share/perl/5.[0-9][0-9]/perl5db.pl | head -1", "NAME"),
        ("perl -e 'print join(q( ), sort { $a <=> $b } map { $_ ** 2 } 1 .. 9), qq(\\n)'", "1 4 9 16 25 36 49 64 81"),
    )

    def judge(self, processors):
        script = "cd /tmp; " + "; ".join(command for command, _ in self.COMMANDS) + "; echo status $?"
        result = self.run_suite("./perl.toml", processors, "sh", "-c", script)
        self.assertEqual(result.stdout.splitlines(), [words for _, words in self.COMMANDS] + ["status 0"], str(result))
        self.assertEqual(result.status, 0)

    def test_one_processor(self):
        self.judge(1)

    def test_four_processors(self):
        self.judge(4)


if __name__ == "__main__":
    unittest.main()
