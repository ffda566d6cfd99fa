# Images from recipes with the machine's real mirror, and their commands on Debian's kernel: status, pipes, terminal.
# SPDX-License-Identifier: MIT
#
# Packages are fetched once, into a cache beside the build; afterwards the tests need no network.
import hashlib
import os
import pathlib
import select
import signal
import subprocess
import time
import unittest

from harness import DEBIAN, PARAVANE, SOURCE, UNAVAILABLE, USAGE, EndToEnd, seconds_left
from terminal import Terminal

CACHE = SOURCE / "build/image-cache"
LINUX = ("--kernel", str(DEBIAN / "vmlinuz"))


class Images(EndToEnd):
    KERNEL = ()

    def environment(self, **changes):
        return self.place.environment(**{"PARAVANE_CACHE": str(CACHE), "SOURCE_DATE_EPOCH": None, **changes})

    def paravane(self, *arguments, **options):
        options = {"environment": self.environment(), "deadline": 280, **options}
        return super().paravane(*arguments, **options)

    def command(self, recipe, *words, stdin=None, **options):
        """Runs a command in a guest; a text as its input, or none at all."""
        seconds = int(min(200, seconds_left() / 2))  # the guest's; the command says then what it did
        arguments = ["run", recipe, *self.KERNEL, "--timeout", f"{max(1, seconds)}s", "--", *words]
        process = subprocess.run([str(PARAVANE), *arguments], cwd=self.folder, env=self.environment(), text=True, errors="replace",
                                 input="" if stdin is None else stdin, capture_output=True, timeout=seconds_left(), check=False, **options)
        return process

    def terminal(self, *arguments):
        terminal = Terminal([PARAVANE, *arguments], self.environment(), self.folder)
        self.addCleanup(terminal.close)
        return terminal

    def recipe(self, text):
        path = self.folder / "r.toml"
        path.write_text(text)
        return path


class Build(Images):
    def test_the_same_inputs_give_the_same_bytes_without_a_network(self):
        self.assert_status(self.paravane("image", "build", "minimal"), 0)
        digests = set()
        for name in ("one", "two"):
            # A cache of its own, with the packages but not the image; sources that lead nowhere: no network is asked.
            cache = self.folder / f"cache-{name}"
            subprocess.run(["cp", "-r", str(CACHE), str(cache)], check=True)
            subprocess.run(["rm", "-rf", str(cache / "images")], check=True)
            result = self.paravane("image", "build", "minimal", "-o", f"{name}.cpio",
                                   environment=self.environment(PARAVANE_CACHE=str(cache), http_proxy="http://127.0.0.1:9"))
            self.assert_status(result, 0)
            self.assertNotIn("up to date", result.stdout)
            digests.add(hashlib.sha256((self.folder / f"{name}.cpio").read_bytes()).hexdigest())
        self.assertEqual(len(digests), 1)
        again = self.paravane("image", "build", "minimal", "-o", "later.cpio",
                              environment=self.environment(SOURCE_DATE_EPOCH="1000000000",
                                                           PARAVANE_CACHE=str(self.folder / "cache-one")))
        self.assert_status(again, 0)
        self.assertNotEqual((self.folder / "later.cpio").read_bytes(), (self.folder / "one.cpio").read_bytes())

    def test_what_is_in_it_is_shown(self):
        listed = self.paravane("image", "list")
        self.assertEqual([line.split()[0] for line in listed.stdout.splitlines()], ["minimal", "python", "shell", "sql"])
        shown = self.paravane("image", "show", "minimal")
        self.assertIn("command   /bin/sh\n", shown.stdout)
        self.assertRegex(shown.stdout, r"busybox-static \S+ amd64")
        files = self.paravane("image", "show", "minimal", "--files").stdout
        self.assertIn("c0600       5,1 /dev/console\n", files)
        self.assertRegex(files, r"l0777 +0 /usr/bin/ls -> busybox\n")

    def test_the_machines_own_state_of_apt_is_left_alone(self):
        def state():
            return {path: path.stat().st_mtime_ns for folder in ("/var/lib/apt", "/var/cache/apt", "/var/lib/dpkg")
                    for path in pathlib.Path(folder).glob("*") if os.access(path, os.R_OK)}

        before = state()
        self.assert_status(self.paravane("image", "build", self.recipe("command = ['/bin/busybox']\n[programs]\n"
                                                                       "busybox-static = ['/bin/busybox']\n")), 0)
        self.assertEqual(state(), before)

    def test_mistakes_are_named(self):
        cases = {
            "command = ['/bin/x']\npackages = ['paravane-none']": "paravane-none",
            "command = ['/bin/x']\n[programs]\nbusybox-static = ['/bin/none']": "'/usr/bin/none'",
            "command = ['/bin/x']\n[programs]\nbusybox-static = ['/bin/busybox']": "'/bin/x'",
            "command = ['/bin/x']\n[files]\n'/bin/x' = { from = 'none' }": "does not exist",
            "command = ['/bin/x'": "r.toml:1",
        }
        self.assert_status(self.paravane("image", "build", "minimal"), 0)  # the lists are there
        for text, words in cases.items():
            with self.subTest(words):
                # Without a network the lists stay as they are.
                result = self.paravane("image", "build", self.recipe(text), environment=self.environment(http_proxy="http://127.0.0.1:9"))
                self.assert_error(result, USAGE, words)
        self.assert_error(self.paravane("run", "none"), USAGE, "'none'", "minimal")
        self.assert_error(self.paravane("run", "minimal", "--initrd", "x"), USAGE, "--initrd")

    def test_without_network_and_packages_it_says_so(self):
        environment = self.environment(PARAVANE_CACHE=str(self.folder / "empty"), http_proxy="http://127.0.0.1:9", https_proxy="http://127.0.0.1:9")
        self.assert_error(self.paravane("image", "build", "minimal", environment=environment), UNAVAILABLE, "lists of packages", "mirror")

    def test_an_interrupt_ends_it_and_leaves_nothing_half(self):
        # A mirror that accepts and says nothing: the build hangs there.
        mirror = subprocess.Popen(["python3", "-c", "import socket,sys,time\ns=socket.create_server(('127.0.0.1',0))\n"
                                   "print(s.getsockname()[1],flush=True)\nc=s.accept()\nprint('in',flush=True)\ntime.sleep(1000)"],
                                  stdout=subprocess.PIPE, text=True)
        try:
            port = mirror.stdout.readline().strip()
            cache = self.folder / "cache"
            process = self.place.start("image", "build", "minimal", environment=self.environment(
                PARAVANE_CACHE=str(cache), http_proxy=f"http://127.0.0.1:{port}", https_proxy=f"http://127.0.0.1:{port}"))
            while not select.select([mirror.stdout], [], [], 0.1)[0]:
                self.assertIsNone(process.poll(), "it ended before it asked the mirror")
            self.assertEqual(mirror.stdout.readline().strip(), "in")
            process.send_signal(signal.SIGINT)
            _, stderr = process.communicate(timeout=30)
            self.assertEqual(process.returncode, 130, stderr)
            self.assertIn("interrupted", stderr)
            self.assertEqual(list(cache.glob("images/*")), [])
        finally:
            mirror.kill()
            mirror.communicate()


class Commands:
    """The commands of an image, on one kernel or another."""


    def test_output_and_status_are_the_commands(self):
        result = self.command("minimal", "sh", "-c", "printf 'a\\nb'; test -t 0 || printf c; test -t 1 || printf d; exit 7")
        self.assertEqual((result.stdout, result.returncode), ("a\nbcd", 7), result.stderr)
        self.assertEqual(result.stderr, "")

    def test_input_is_a_pipe_up_to_its_end(self):
        text = "".join(f"line {i}\n" for i in range(2000)) + "no end"
        result = self.command("minimal", "sh", "-c", "cat; kill -9 $$", stdin=text)
        self.assertEqual((result.stdout, result.returncode), (text, 128 + 9), result.stderr)

    def test_a_person_at_a_shell(self):
        terminal = self.terminal("run", "minimal", *self.KERNEL, "--timeout", "200s")
        terminal.wait_for("# ")
        # Line editing: the wrong letter is taken back.
        terminal.type("stty sizx\x7fe\n")
        terminal.wait_for("33 101\r\n")
        terminal.type("echo $TERM; tty\n")
        terminal.wait_for("xterm\r\n" + self.TERMINAL)
        terminal.wait_for("# ")
        terminal.type("sleep 1000\n")
        terminal.wait_for("sleep 1000")
        time.sleep(1)  # it is typed; nothing says when it sleeps
        terminal.type("\x03")
        terminal.wait_for("# ")
        terminal.type("echo status $?\n")
        terminal.wait_for("status 130\r\n")
        # Job control: the terminal is the session's.
        terminal.type("sleep 1000 & jobs\n")
        terminal.wait_for("Running")
        terminal.type("exit 9\n")
        status, shown = terminal.end()
        self.assertEqual(status, 9, shown)
        self.assertNotIn("Power down", shown)


class Linux(Commands, Images):
    KERNEL = LINUX
    TERMINAL = "/dev/ttyS0\r\n"


class Ours(Commands, Images):
    """On our own kernel."""

    TERMINAL = "/dev/"


class MoreCommands:
    """What takes longer: nightly."""

    def test_a_program_that_is_not_there(self):
        result = self.command("minimal", "no-such-program")
        self.assertEqual(result.returncode, 127, result.stderr)
        self.assertIn("paravane: no-such-program: No such file or directory", result.stdout)

    def test_a_key_leaves(self):
        terminal = self.terminal("run", "minimal", *self.KERNEL, "--timeout", "200s")
        terminal.wait_for("Ctrl-] leaves")
        terminal.wait_for("# ")
        terminal.type("\x1d")
        self.assertEqual(terminal.end()[0], 0)

    def test_a_guest_that_never_starts_the_command_says_why(self):
        append, words = self.BROKEN
        result = self.paravane("run", "minimal", *self.KERNEL, "--append", append, "--timeout", "60s")
        self.assertNotEqual(result.status, 0, str(result))
        self.assertIn(words, result.stdout.lower(), str(result))

    def test_sql_edits_lines_and_keeps_a_table(self):
        terminal = self.terminal("run", "sql", *self.KERNEL, "--timeout", "200s", "--", "sqlite3", "/tmp/x.db")
        terminal.wait_for("sqlite> ")
        terminal.type("create table t(a); insert into t values (6*7);\n")
        terminal.wait_for("sqlite> ")
        terminal.type("select a from x;\x1b[D\x7ft\n")  # readline: left, rub out, t
        self.assertIn("42", terminal.wait_for("42"))
        terminal.type(".quit\n")
        self.assertEqual(terminal.end()[0], 0)

    def test_sql_takes_a_script_from_a_pipe(self):
        result = self.command("sql", "sqlite3", stdin="create table t(a);\ninsert into t values (6*7);\nselect * from t;\n")
        self.assertEqual((result.stdout, result.returncode), ("42\n", 0), result.stderr)

    def test_shell_has_its_programs(self):
        result = self.command("shell", "bash", "-c", "set -e; strace -f -o /tmp/log ls / >/tmp/list; grep -q execve /tmp/log; "
                                                     "ps -o comm= -p 1; free | head -1 | wc -w; sort -r /tmp/list | tail -1")
        self.assertEqual((result.stdout, result.returncode), ("init\n6\nbin\n", 0), result.stderr)

    def test_python_passes_its_own_tests(self):
        result = self.command("python", "python3", "-m", "test", "test_bisect", "test_struct", "test_select")
        self.assertEqual(result.returncode, 0, result.stdout[-3000:])
        self.assertRegex(result.stdout, "Result: SUCCESS|Tests result: SUCCESS")

    def test_a_check_of_a_recipe_has_no_finding(self):
        result = self.paravane("check", "minimal", *self.KERNEL, *self.RULES, "--json", "--", "sh", "-c", "ls -l / >/dev/null")
        self.assertEqual(result.json["findings"], [], str(result))
        self.assertEqual(result.json["guest_end"]["text"], "powered off, status 0", str(result))


class Recipes(MoreCommands, Images):
    KERNEL = LINUX
    BROKEN = ("rdinit=/none root=/none", "panic")
    RULES = ("--rules", "no-markers")


class OurRecipes(MoreCommands, Images):
    """On our own kernel."""

    BROKEN = ("init=/none", "/none cannot be executed")
    RULES = ()


if __name__ == "__main__":
    unittest.main()
