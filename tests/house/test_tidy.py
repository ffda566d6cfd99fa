# clang-tidy over many files as one still sees each of them.
# SPDX-License-Identifier: MIT
import json
import pathlib
import shutil
import tempfile
import unittest

import tidy

TOP = pathlib.Path(__file__).resolve().parents[2]
# A mistake that misc-redundant-expression finds.
MISTAKE = """namespace {{
bool {name}(int number) {{ return number == number; }}
}}  // namespace
bool in_{file}(int number) {{ return {name}(number); }}
"""


def complaints(sources, together=False):
    """Of sources that are compiled alone, or all by one file that includes them, as CMake makes it."""
    with tempfile.TemporaryDirectory() as name:
        top = pathlib.Path(name).resolve()
        shutil.copy(TOP / ".clang-tidy", top)
        (top / "host-tools").mkdir()
        for path, text in sources.items():
            (top / "host-tools" / path).write_text(text)
        commands = [{"directory": name, "file": str(top / "host-tools" / path),
                     "command": f"c++ -std=gnu++23 -Wall -include pch.h -o {path}.o -c {top / 'host-tools' / path}"} for path in sources]
        if together:
            (top / "unity_all_0_cxx.cxx").write_text("".join(f'#include "{command["file"]}"\n\n' for command in commands))
            commands = [{**commands[0], "file": str(top / "unity_all_0_cxx.cxx")}]
        (top / "compile_commands.json").write_text(json.dumps(commands))
        return tidy.Tidy(top, top, False).complaints()


class TidyBites(unittest.TestCase):
    def test_each_of_several(self):
        found = complaints({f"{file}.cpp": MISTAKE.format(name=f"of_{file}", file=file) for file in "abc"})
        self.assertEqual([line.split(":")[0] for line in found], [f"host-tools/{file}.cpp" for file in "abc"])
        self.assertTrue(all("misc-redundant-expression" in line for line in found), found)

    def test_each_of_several_that_are_compiled_together(self):
        found = complaints({f"{file}.cpp": MISTAKE.format(name=f"of_{file}", file=file) for file in "abc"}, together=True)
        self.assertEqual([line.split(":")[0] for line in found], [f"host-tools/{file}.cpp" for file in "abc"])

    def test_files_whose_names_meet(self):
        found = complaints({f"{file}.cpp": MISTAKE.format(name="same", file=file) for file in "abc"})
        self.assertEqual([line.split(":")[0] for line in found], [f"host-tools/{file}.cpp" for file in "abc"])

    def test_header(self):
        found = complaints({"a.cpp": '#include "b.hpp"\n', "b.hpp": "struct B {\n    B(int) {}\n};\n", "c.cpp": "int c = 1;\n"})
        self.assertEqual(len(found), 1, found)
        self.assertRegex(found[0], r"^host-tools/b\.hpp:2:.*google-explicit-constructor")

    def test_an_include_that_another_file_has(self):
        # forgot.cpp includes less than the other, or more, but not that.
        for others in ("#include <cstddef>\n", "#include <cassert>\n#include <cerrno>\n#include <cfloat>\n#include <climits>\n#include <ctime>\n"):
            found = complaints({"has.cpp": "#include <cstddef>\n#include <cstdint>\nstd::uint8_t has;\n",
                                "forgot.cpp": f"{others}std::uint8_t forgot;\n"})
            self.assertEqual(len(found), 1, found)
            self.assertRegex(found[0], r"^host-tools/forgot\.cpp:\d+:.*no type named 'uint8_t'")

    def test_what_does_not_compile(self):
        found = complaints({"a.cpp": "int a = 1;\n", "b.cpp": "int b = c;\n"})
        self.assertTrue(any(line.startswith("host-tools/b.cpp") for line in found), found)

    def test_nothing_wrong_and_nothing_there(self):
        self.assertEqual(complaints({f"{file}.cpp": f"int {file} = 1;\n" for file in "abc"}), [])
        self.assertEqual(len(complaints({})), 1)


if __name__ == "__main__":
    unittest.main()
