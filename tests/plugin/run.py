# Runs the test guest under QEMU with the plugin and compares what the plugin wrote with the golden lines.
# SPDX-License-Identifier: MIT
"""usage: run.py --guest ELF --plugin SO --golden FOLDER [--update] [TestName ...]"""
import argparse
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

ARGUMENTS = None
DEADLINE = 30  # seconds; a run takes a fifth of one


def start(scenario, *, probe="", memory="64M", cpus=1, memfd=True, log="plugin", machine="q35", more=()):
    """Runs one scenario; returns exit status, standard error, and the lines of the log."""
    with tempfile.TemporaryDirectory() as folder:
        log_path = pathlib.Path(folder) / "log"
        command = ["qemu-system-x86_64", "-m", memory, "-smp", str(cpus), "-nodefaults", "-display", "none",
                   "-no-reboot", "-accel", "tcg", "-cpu", "max", "-kernel", ARGUMENTS.guest, "-append", scenario,
                   "-device", "isa-debug-exit,iobase=0xf4,iosize=4",
                   "-plugin", ARGUMENTS.plugin + probe, "-d", log, "-D", str(log_path), "-msg", "timestamp=on", *more]
        if memfd:
            machine += ",memory-backend=ram"
            command += ["-object", f"memory-backend-memfd,id=ram,size={memory},share=on"]
        command += ["-machine", machine]
        result = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE, check=False)
        lines = log_path.read_text().splitlines() if log_path.exists() else []
        return result.returncode, result.stderr, lines


def guest_lines(lines):
    """The plugin's lines from the guest's first instruction on, without time, addresses as distances from the
    guest's first marker or ring, so that the compiler's layout does not matter."""
    numbers = {}
    kept = []
    for line in lines:
        match = re.fullmatch(r"\d+@\d+\.\d{6}:(paravane_\S+)(.*)", line)
        if not match:
            raise AssertionError(f"not in the form of QEMU's own lines: {line!r}")
        name, rest = match.groups()
        pc = re.search(r" pc (0x[0-9a-f]+)", rest)
        # The firmware runs below 1 MiB and at the top of 4 GiB.
        if pc and (int(pc[1], 16) < 0x100000 or int(pc[1], 16) > 0xff000000) and "cpu_start" not in name:
            continue
        rest = re.sub(r" pc 0x[0-9a-f]+", " pc PC", rest)

        def symbol(found):
            value = int(found[0], 16)
            # The guest's image and its stack; numbers the scenarios use on purpose lie elsewhere.
            if 0x100000 <= value < 0x200000:
                return numbers.setdefault(value & ~0xfff, f"P{len(numbers)}") + f"+{value & 0xfff:#x}"
            return found[0]
        kept.append(name + re.sub(r"0x[0-9a-f]+", symbol, rest))
    return kept


class Golden(unittest.TestCase):
    maxDiff = None

    def check(self, name, **options):
        status, errors, lines = start(options.pop("scenario", name), **options)
        self.assertEqual(status, 1, errors)
        got = guest_lines(lines)
        path = pathlib.Path(ARGUMENTS.golden) / f"{name}.txt"
        if ARGUMENTS.update:
            path.write_text("\n".join(got) + "\n")
        self.assertEqual(path.read_text().splitlines(), got)
        return lines

    def test_markers_and_what_only_looks_like_them(self):
        self.check("markers")

    def test_unknown_major_version_closes(self):
        self.check("unknown-version")

    def test_newer_minor_version_is_taken(self):
        self.check("newer-minor")

    def test_without_hello_nothing_is_taken(self):
        self.check("no-hello")

    def test_example_of_the_document(self):
        self.check("example", probe=",probe=markers")

    def test_control_registers_and_invlpg(self):
        lines = self.check("control")
        # The firmware goes to protected mode and back: control registers are seen from the first instruction on.
        self.assertTrue(any("paravane_control_register cpu 0 pc 0xf" in line for line in lines))

    def test_two_cpus(self):
        self.check("smp", cpus=2)

    def test_rings(self):
        self.check("rings")

    def test_rings_in_memory_beyond_4_gib(self):
        self.check("rings-high", memory="3G")

    def test_rings_without_shared_memory(self):
        self.check("rings-no-memory", scenario="rings-high", memory="3G", memfd=False)

    def test_chosen_probes_only(self):
        self.check("markers-only", scenario="rings-high", memory="3G", probe=",probe=markers")
        self.check("control-only", scenario="markers", probe=",probe=control")

    def test_instructions_are_counted_on_each_cpu(self):
        # The guest's loop of 200,000 markers: at least as many instructions, and not in another order of size.
        counts = {}
        for scenario, probe in (("many", ",probe=markers,instructions"), ("markers", ",probe=instructions")):
            status, errors, lines = start(scenario, probe=probe)
            self.assertEqual(status, 1, errors)
            found = [re.search(r":paravane_instructions cpu (\d+) count (\d+)$", line) for line in lines]
            found = [match for match in found if match]
            self.assertEqual([match[1] for match in found], ["0"])
            counts[scenario] = int(found[0][2])
        loop = counts["many"] - counts["markers"]
        self.assertGreater(loop, 200_000)
        self.assertLess(loop, 200_000 * 40)

    def test_same_order_as_qemus_own_lines(self):
        status, errors, lines = start("control", log="plugin,guest_errors")
        self.assertEqual(status, 1, errors)
        times = [float(line.split("@")[1].split(":")[0]) for line in lines]
        self.assertEqual(times, sorted(times))


class BadArguments(unittest.TestCase):
    def test_refused_with_one_line(self):
        for probe in (",probe=marker", ",prob=markers", ",markers=on", ",probe=rings", ",probe=markers,rings=off"):
            with self.subTest(probe):
                status, errors, lines = start("markers", probe=probe)
                self.assertEqual(status, 1, errors)
                self.assertIn("libparavane-plugin: ", errors)
                self.assertIn("markers, control, rings, tlb, ownership, instructions", errors)
                self.assertEqual([line for line in lines if "paravane_marker" in line], [])

    def test_an_old_qemu_gets_as_far_as_its_version_check(self):

        found = subprocess.run(["nm", "-D", "--undefined-only", ARGUMENTS.plugin], capture_output=True, text=True,
                               check=True).stdout
        strong = set(re.findall(r" U (qemu_plugin_\w+)", found))
        weak = set(re.findall(r" w (qemu_plugin_\w+)", found))
        # Anything newer than version 1 of the interface must not keep an old QEMU from saying so itself.
        self.assertIn("qemu_plugin_read_register", weak)
        self.assertLessEqual(strong, {
            "qemu_plugin_insn_data", "qemu_plugin_insn_vaddr", "qemu_plugin_outs",
            "qemu_plugin_register_atexit_cb", "qemu_plugin_register_vcpu_init_cb",
            "qemu_plugin_register_vcpu_insn_exec_cb", "qemu_plugin_register_vcpu_tb_trans_cb",
            "qemu_plugin_tb_get_insn", "qemu_plugin_tb_n_insns", "qemu_plugin_tb_vaddr"})


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--guest", required=True)
    parser.add_argument("--plugin", required=True)
    parser.add_argument("--golden", required=True)
    parser.add_argument("--update", action="store_true", help="write the golden files instead of judging")
    ARGUMENTS, rest = parser.parse_known_args()
    unittest.main(argv=[sys.argv[0], *rest], verbosity=2)
