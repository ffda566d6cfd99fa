# Programs on our own kernel, with devices beside them.
# SPDX-License-Identifier: MIT
import json
import re
import subprocess
import unittest

from harness import BUILD, SOURCE
from test_image import Images

# Each line's output is that of Debian's bash, coreutils and others on Linux.
SHELL = r"""
a=(x y z); declare -A m=([k]=v); echo ${#a[@]} ${a[@]:1} ${m[k]}
f() { local x=$1; return $((x + 1)); }; f 4; echo $?
trap 'echo trapped' USR1; kill -USR1 $$
{ sleep 0.1; echo background; } & wait; echo waited
set -o pipefail; false | true; echo $?; (exit 7); echo $?
coproc cat; echo through >&${COPROC[1]}; read -u ${COPROC[0]} line; echo $line
sleep 1000 & kill $!; wait $!; echo $?
echo here | tr a-z A-Z; seq 1000 | sort -R | sort -n | tail -1; seq 100 | sha256sum
dd if=/dev/zero bs=64k count=16 2>/dev/null | md5sum; timeout 0.1 sleep 5; echo $?
mkdir -p t/a/b; cp -r t/a t/c; mv t/c t/d; ln -s ../a t/d/l; ls -R t; find t -type d | sort; rm -r t
touch -d @0 e; stat -c %Y e; rm e; date -u -d @86400 +%F; factor 1234567890; yes | head -100000 | wc -c
seq 20 | xargs -P 4 -n 1 echo | sort -n | tail -1; dash -c 'x=1; while [ $x -lt 5 ]; do x=$((x + 1)); done; echo $x'
printf 'b 2\na 1\n' | sort | mawk '{ s += $2; print $1 } END { print s }' | sed s/a/A/ | grep -c .
strace -f -o log sh -c '/bin/true; /bin/true' && grep -c 'execve(' log; grep -c 'exited with 0' log; rm log
"""
SHELL_OUTPUT = """\
3 y z v
5
trapped
background
waited
1
7
through
143
HERE
1000
93d4e5c77838e0aa5cb6647c385c810a7c2782bf769029e6c420052048ab22bb  -
b6d81b360a5672d80c27430f39153e2c  -
124
t:
a
d

t/a:
b

t/a/b:

t/d:
b
l

t/d/b:
t
t/a
t/a/b
t/d
t/d/b
0
1970-01-02
1234567890: 2 3 3 5 3607 3803
200000
20
5
3
3
3
"""

SQL = """
create table t(a integer primary key, b text);
with recursive n(i) as (select 1 union all select i + 1 from n where i < 5000) insert into t select i, 'row ' || i from n;
create index i on t(b);
pragma journal_mode = wal;
begin; delete from t where a % 2 = 0; rollback;
begin; delete from t where a % 2 = 0; commit;
select count(*), sum(a), max(b) from t;
pragma integrity_check;
"""
SQL_OUTPUT = "wal\n2500|6250000|row 999\nok\n"


class OnProcessors(Images):
    def judge(self, recipe, words, stdin, output):
        for processors in ("1", "4"):
            with self.subTest(processors):
                self.KERNEL = ("--smp", processors)
                result = self.command(recipe, *words, stdin=stdin)
                self.assertEqual((result.stdout, result.returncode), (output, 0), result.stderr)


# What people ask a machine with: who runs, who has how much memory and processor time, who says what to whom.
INSPECT = r"""
sleep 1000 & s=$!; cd /tmp; kb() { free -k | mawk '/^Mem/ { print $'$1' }'; }
ps -o comm=,ppid= -p $s | mawk -v me=$$ '{ print $1, $2 == me }'; ps -e -o pid= | grep -c "^ *$s$"; pgrep -P $$ sleep | grep -c "^$s$"
total=$(kb 2) before=$(kb 4); head -c 32M /dev/zero > x; after=$(kb 4)
echo $((total > before)) $(((before - after) / 1024 >= 31)) $(((before - after) / 1024 <= 40)); rm x; echo $(($(kb 4) - after > 31000))
mawk 'BEGIN { x = "x"; while (length(x) < 16777216) x = x x; print length(x); fflush(); system("ps -o rss=,vsz= -C mawk | sort -rn") }' |
    mawk 'NR == 1; NR == 2 { print ($1 > 16384 && $2 >= $1) }'
i=0; while [ $i -lt 200000 ]; do i=$((i + 1)); done; top -b -n 1 -p $$ | mawk -v me=$$ '$1 == me { split($11, t, "[:.]"); print (t[1] * 60 + t[2] + t[3] / 100 > 0) }'
head -c 100000 /dev/zero | wc -c; mawk '/^[rw]char/ { print $1, ($2 > 100000) }' /proc/$$/io
# Once from echo to cat, once from cat to what carries it out of the guest.
echo on > /proc/paravane/messages; { echo hello; sleep 0.2; } | cat; kill $s; wait $s
mawk -v s=$s '$4 == s || $5 ~ /^pipe/ && $6 == 6 { print $3, $4 == s ? $5 : $6 }' /proc/paravane/messages
echo off > /proc/paravane/messages; cat /proc/paravane/messages
"""
INSPECT_OUTPUT = """\
sleep 1
1
1
1 1 1
1
16777216
1
1
100000
rchar: 1
wchar: 1
hello
sends 6
receives 6
sends 6
receives 6
sends signal:[15]
off
"""


class Shell(OnProcessors):
    def test_bash_coreutils_dash_mawk_and_strace(self):
        self.judge("shell", ["bash", "-c", SHELL], None, SHELL_OUTPUT)

    def test_procps_and_messages(self):
        self.judge("shell", ["bash", "-c", INSPECT], None, INSPECT_OUTPUT)


class Sql(OnProcessors):
    def test_sqlite_on_a_file(self):
        self.judge("sql", ["sqlite3", "/tmp/x.db"], SQL, SQL_OUTPUT)


class Small(Images):
    KERNEL = ("--memory", "24M")

    def test_minimal_in_24_mib(self):
        result = self.command("minimal", "sh", "-c", "seq 5000 | sort -rn | tail -n 2; cd /; tar cf - usr/bin | gzip | gunzip | tar tf - | wc -l")
        self.assertEqual((result.stdout.split()[:2], result.returncode), (["2", "1"], 0), result.stderr)
        self.assertGreater(int(result.stdout.split()[2]), 100)

    def test_the_kernel_is_under_2_mib(self):
        stripped = self.folder / "kernel"
        subprocess.run(["strip", "-o", stripped, BUILD / "lib/paravane/paravane-kernel.elf"], check=True)
        self.assertLess(stripped.stat().st_size, 2 << 20)


class WritableCode(Images):
    ASK = ("python3", "-c", "import mmap; mmap.mmap(-1, 4096, prot=7); print('mapped')")
    NOTE = "paravane: note: python3 asked for memory that is writable and executable, and was refused: writable-code"

    def test_refused_with_a_note_and_granted_by_the_recipe(self):
        refused = self.command("python", *self.ASK)
        self.assertIn("PermissionError", refused.stdout)
        self.assertEqual((refused.stderr.splitlines()[-1:], refused.returncode), ([self.NOTE], 1), refused.stderr)
        recipe = self.recipe("writable-code = true\n" + (SOURCE / "disk-images/python.toml").read_text())
        granted = self.command(recipe, *self.ASK)
        self.assertEqual((granted.stdout, granted.returncode), ("mapped\n", 0), granted.stderr)
        self.assertNotIn("note:", granted.stderr)
        self.KERNEL = ("--kernel", BUILD / "lib/paravane/paravane-kernel-test.elf")  # another build of ours
        granted = self.command(recipe, *self.ASK)
        self.assertEqual((granted.stdout, granted.returncode), ("mapped\n", 0), granted.stderr)


class Watched(Images):
    """`paravane check RECIPE`: the recipe's session, with devices at work beside it."""

    def judge(self, recipe, processors, *more):
        result = self.paravane("check", recipe, "--smp", processors, *more, "--json", "--keep", "kept", "-o", "t.db")
        self.assert_status(result, 0)
        verdict = json.loads(result.stdout)
        self.assertEqual((verdict["verdict"], verdict["guest_end"]["status"]), ("pass", 0), str(result))
        self.assertEqual({rule["outcome"] for rule in verdict["rules"]}, {"held"}, str(result))
        self.rules = {rule["rule"] for rule in verdict["rules"]}
        return (self.folder / "kept" / "console.txt").read_text(errors="replace")

    def test_shell(self):
        console = self.judge("shell", "1")
        for line in ("a: 3", "5000", "36", "trapped", "through", "timeout ends with 124", "2000"):
            self.assertIn(line, console)

    def test_translations(self):
        """Frames that several processes had, on several processors: given back once, when nobody can reach them."""
        self.judge("shell", "4", "--probe", "tlb")
        self.assertLessEqual({"tlb-freed-while-cached", "tlb-missed-shootdown", "tlb-stale-use"}, self.rules)

    def test_every_recipe(self):
        for recipe in ("minimal", "shell", "sql", "python"):
            for processors in ("1", "4"):
                with self.subTest(recipe=recipe, processors=processors):
                    self.judge(recipe, processors)


class Beside(Images):
    """LEDGER H2: while a disk's commands wait, time out and are recovered, a shell's loop goes on."""

    def judge(self, disk):
        ticks = ("i=0; while [ $i -lt 70 ]; do echo tick $i; grep -E 'oldest|outstanding' /proc/paravane/commands; i=$((i+1)); usleep 100000; done; "
                 "cat /proc/paravane/mappings /proc/paravane/locks")
        result = self.paravane("run", "minimal", "--disk", f"{disk}:64M", "--fault", "stall disk0 read after 5 for 4s", "--timeout", "100s",
                               "--append", "exercise=threads:2,blocks:64,deadline:1s loglevel=info", "--", "sh", "-c", ticks)
        lines = result.stdout.splitlines()
        self.assertTrue(any(" timed out after" in line for line in lines), str(result))
        self.assertTrue(any(re.search(r"recovery \d+ is over: it serves", line) for line in lines), str(result))
        # The loop goes on while reads wait, and can see how long they do.
        waits = re.findall(rf"^{disk}0: queue \d+: the oldest: read .* for ([\d.]+) (us|ms|s), deadline", result.stdout, re.MULTILINE)
        long = {time for time in waits if float(time[0]) * {"us": 1e-6, "ms": 1e-3, "s": 1}[time[1]] > 0.2}
        self.assertGreaterEqual(len(long), 3, str(result))
        self.assertTrue(any(re.match(rf"{disk}0: queue \d+: .* commands outstanding, [1-9]\d* owed by the device", line) for line in lines),
                        str(result))
        self.assertTrue(any(re.fullmatch(r"dma: [1-9]\d* mappings made, \d+ live, \d+ in quarantine, 0 abandoned", line) for line in lines),
                        str(result))
        self.assertIn("20 spins queue", lines)
        # The shell came to its end. The exercise had timeouts, and no wrong data.
        self.assertTrue(any("tick 69" in line for line in lines), str(result))
        self.assertTrue(any("0 mismatches, 0 errors" in line for line in lines), str(result))
        self.assertEqual(result.status, 3, str(result))

    def test_nvme(self):
        self.judge("nvme")

    def test_virtio_blk(self):
        self.judge("virtio-blk")


if __name__ == "__main__":
    unittest.main()
