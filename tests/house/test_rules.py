# Each rule of the house is shown something bad and something good.
# SPDX-License-Identifier: MIT
import unittest

import rules

HEAD = "// What it is for.\n// SPDX-License-Identifier: MIT\n"


class Rules(unittest.TestCase):
    def complaints(self, rule, files):
        return list(rule(files))

    def assert_finds(self, rule, bad, good, *also):
        self.assertEqual(len(self.complaints(rule, bad)), 1, self.complaints(rule, bad))
        for files in (good, *also):
            self.assertEqual(self.complaints(rule, files), [])

    def test_licences(self):
        self.assert_finds(rules.licences, {"a/b.cpp": "int x;\n"}, {"a/b.cpp": HEAD})
        self.assert_finds(rules.licences, {"qemu-plugins/b.cpp": HEAD + "#include <qemu-plugin.h>\n"},
                          {"qemu-plugins/b.cpp": "// x\n// SPDX-License-Identifier: GPL-2.0-or-later\n#include <qemu-plugin.h>\n"})
        self.assert_finds(rules.licences, {"abi/paravane/marker.h": HEAD},
                          {"abi/paravane/marker.h": "/* m\n * SPDX-License-Identifier: 0BSD */\n"})
        self.assert_finds(rules.licences, {"ci/x": "#!/bin/sh\n"}, {"ci/x.json": "{}"})
        self.assert_finds(rules.licences, {"a.cpp": "// What it is for. SPDX-License-Identifier: MIT\n"}, {"a.cpp": HEAD})

    def test_lengths(self):
        self.assert_finds(rules.lengths, {"a.cpp": "\n" * 601}, {"a.cpp": "\n" * 600}, {"tests/data/a.log": "\n" * 900})

    def test_purposes(self):
        self.assert_finds(rules.purposes, {"a.hpp": "// SPDX-License-Identifier: MIT\n#pragma once\n"}, {"a.hpp": HEAD},
                          {"a.S": "# Start-up code.\n# SPDX\n"}, {"a.sql": "-- The trace.\n"})

    def test_places(self):
        self.assert_finds(rules.places, {"a.md": "see /home/me/x\n"}, {"a.md": "see build/home/me, $x/root/y\n"})
        self.assert_finds(rules.places, {"a.sh": "http://deb.debian.org/debian\n"}, {"a.sh": "www.debian.org\n"})

    def test_unfinished(self):
        self.assert_finds(rules.markers_of_unfinished_work, {"a.cpp": "// TODO: later\n"}, {"a.cpp": "// todos\n"})

    def test_early_returns(self):
        good = ("Ends e{PV_TRY(a())};", "const auto [a, b] = PV_TRY(c());", "f(x, PV_TRY(a()));", "{ g(a, b); PV_TRY(c()); }",
                "Value f(int a, int b) { PV_TRY(c()); }", "std::map<int, int> m{PV_TRY(a())};", "// {a, PV_TRY(b())}\n", "{ {f(a, b);} PV_TRY(a()); }")
        bad = ("Ends e{a, PV_TRY(b())};", "g({.a = a,\n.b = PV_TRY(b())});", "return Ends{Ref<Node>(x), f(PV_TRY(a()))};",
               "new (std::nothrow) Node{PV_TRY(a())};", "new Node(1, f(PV_TRY(a())));")
        for text in bad:
            self.assert_finds(rules.early_returns, {"a.cpp": text}, *({"a.cpp": g} for g in good))

    def test_arrows(self):
        tree = {"host-tools/store/a.hpp": "", "host-tools/checks/b.hpp": "", "guest-kernel/memory/m.hpp": "", "abi/p/m.h": ""}
        self.assert_finds(rules.arrows, {**tree, "host-tools/store/a.cpp": '#include "checks/b.hpp"\n'},
                          {**tree, "host-tools/checks/a.cpp": '#include "store/a.hpp"\n#include "p/m.h"\n'})
        self.assert_finds(rules.arrows, {**tree, "host-tools/store/a.cpp": '#include "memory/m.hpp"\n'}, tree)
        self.assert_finds(rules.arrows, {**tree, "qemu-plugins/a.cpp": '#include "../host-tools/store/a.hpp"\n'}, tree)

    def test_links(self):
        self.assert_finds(rules.links, {"docs/a.md": "[x](b.md)"}, {"docs/a.md": "[x](b.md) [y](../LICENSES)", "docs/b.md": "",
                                                                     "LICENSES/MIT.txt": ""})

    def test_packages(self):
        row = {"docs/dependencies.md": "| `cmake` | x |"}
        self.assert_finds(rules.packages, {"ci/packages": "gcc why\n", **row}, {"ci/packages": "cmake  why\n", **row})
        self.assert_finds(rules.packages, {"ci/packages": "cmake\n", **row}, {"ci/packages": "# x\n", **row})

    def test_ownership(self):
        for bad in ("delete x;", "delete[] x;", "::operator delete(x);", "std::free(x);", "void* x = malloc(1);", "auto* x = new (std::nothrow) X;",
                    "X* x = new X{};\nuse(x);", "take(new X);"):
            self.assert_finds(rules.ownership, {"guest-kernel/a.cpp": bad + "\n"}, {"tests/a.cpp": bad},
                              {"guest-kernel/memory/regions.cpp": bad})
        for good in ("X(const X&) = delete;", "// delete x;", 'say("delete x");', "auto x = Ref<X>::adopt(new (std::nothrow) X);",
                     "std::unique_ptr<X> x(new (std::nothrow) X);", "auto* x = new (std::nothrow) X;\nreturn Ref<X>::adopt(x);",
                     "::new (room.data()) X;", "list.clear_and_dispose([](X* x) { delete x; });", "void free(int n);",
                     "x.reset(new (std::nothrow) char[n]);", "heap.free(x);", "struct D { void operator()(X* x) const { delete x; } };"):
            self.assertEqual(self.complaints(rules.ownership, {"guest-kernel/a.cpp": good + "\n"}), [], good)

    def test_home_made(self):
        for name in ("strtol", "qsort", "sprintf", "strncmp", "memcpy", "atoi"):
            bad = f"namespace a {{\nlong {name}(const char* text, int n) {{\n    return 0;\n}}\n}}\n"
            self.assert_finds(rules.home_made, {"guest-kernel/a.cpp": bad}, {"tests/a.cpp": bad})
        for good in ("if (memcmp(a, b, 3) == 0) {\n}\n", "return strtol(a);\n", "use(std::strlen(text));\n"):
            self.assertEqual(self.complaints(rules.home_made, {"guest-kernel/a.cpp": good}), [], good)
        kept = {"guest-kernel/arch/x86_64/runtime.cpp": "int memcmp(const void* a, const void* b, std::size_t n) {\n"}
        self.assertEqual(self.complaints(rules.home_made, kept), [])

    def test_orders(self):
        for bad in ("std::atomic<int> x;", "std::atomic_ref(x).load();", "std::atomic_flag x;", "std::atomic_load(&x);", "__atomic_load_n(&x, 5);",
                    "__sync_synchronize();", "#include <atomic>", "_Atomic int x;"):
            self.assert_finds(rules.orders, {"guest-kernel/a.cpp": bad + "\n"}, {"tests/a.cpp": bad}, {"guest-kernel/base/atomic.hpp": bad})
        for good in ("Atomic<int> x;", "// std::atomic", "std::atomic_thread_fence(std::memory_order_release);", "std::memory_order_relaxed"):
            self.assertEqual(self.complaints(rules.orders, {"guest-kernel/a.cpp": good + "\n"}), [], good)

    def test_named_tests(self):
        tests = {"A.b": {"unit", "ledger"}, "A.c": {"unit"}}

        def ledger(row, status=""):
            return {"docs/ledger.md": row, "docs/status.md": status}

        good = ("| H1 | p | held | `A.b` |  |", "| H1 | p | partial | `A.*` | q |", "| H1 | p | absent |  | later |")
        bad = ("| H1 | p | held | `A.x` |  |", "| H1 | p | held | `A.c` |  |", "| H1 | p | held |  |  |",
               "| H1 | p | partial | `A.b` |  |", "| H1 | p | done | `A.b` | x |", "| H1 | p | held | `A.b` |")
        for row in good:
            self.assertEqual(list(rules.named_tests(ledger(row), tests)), [], row)
        for row in bad:
            self.assertEqual(len(list(rules.named_tests(ledger(row), tests))), 1, row)
        for row in ("| f | works | `A.c` |  |", "| f | absent |  | all |"):
            self.assertEqual(list(rules.named_tests(ledger("", row), tests)), [], row)
        for row in ("| f | works | `A.d` |  |", "| f | works |  |  |", "| f | partial | `A.c` |  |", "| f | fine | `A.c` | x |"):
            self.assertEqual(len(list(rules.named_tests(ledger("", row), tests))), 1, row)


if __name__ == "__main__":
    unittest.main()
