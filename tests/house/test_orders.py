# An atomic operation of the kernel's that does not say its order does not compile.
# SPDX-License-Identifier: MIT
#
# usage: test_orders.py BUILD
import re
import sys
import tempfile

import test_unbounded

# How both the freestanding kernel and its hosted parts are compiled.
FILES = ("guest-kernel/base/log.cpp", "guest-kernel/hosted/runtime.cpp")
HEAD = """#include "base/atomic.hpp"
#include <array>
using pv::Atomic;
using pv::AtomicRef;
constexpr auto acquire = std::memory_order_acquire;
constexpr auto relaxed = std::memory_order_relaxed;
constinit std::array<Atomic<unsigned>, 2> several{1U};
enum class Kind { one, other };
int use(Atomic<unsigned>& a, Atomic<Kind>& kind, unsigned& plain);
int use(Atomic<unsigned>& a, Atomic<Kind>& kind, unsigned& plain) {
    unsigned was = 0;
"""
TAIL = "    return static_cast<int>(was);\n}\n"
GOOD = ("was += a.load(acquire);", "a.store(1, std::memory_order_release);", "was += a.exchange(1, relaxed);", "a.fetch_add(1, relaxed);",
        "a.fetch_sub(1, relaxed);", "a.fetch_and(1, relaxed);", "a.fetch_or(1, relaxed);", "a.compare_exchange_weak(was, 1, relaxed);",
        "a.compare_exchange_strong(was, 1, acquire, relaxed);", "kind.store(Kind::other, relaxed);", "was += AtomicRef(plain).load(acquire);",
        "AtomicRef(plain).store(1, relaxed);", "was += several[1].load(relaxed);")
BAD = ("was += a.load();", "a.store(1);", "was += a.exchange(1);", "a.fetch_add(1);", "a.fetch_sub(1);", "a.fetch_and(1);", "a.fetch_or(1);",
       "a.compare_exchange_weak(was, 1);", "a.compare_exchange_strong(was, 1);", "kind.store(Kind::other);", "was += AtomicRef(plain).load();",
       "AtomicRef(plain).store(1);", "AtomicRef(plain).exchange(1);", "AtomicRef(plain).fetch_add(1);", "(AtomicRef(plain)) = 1;", "was += a;",
       "a = 1;", "++a;", "a++;", "--a;", "a += 1;", "a |= 1;", "was += AtomicRef(plain);", "if (a) { ++was; }", "kind = Kind::one;",
       "was += several[1];", "Atomic<unsigned> copy = a;", "++AtomicRef(plain);")


def lines_with_errors(said, source):
    """Numbers of lines of `source`, from 0, that the compiler complains about."""
    before = test_unbounded.INCLUDES.count("\n") + 1
    return {int(found[1]) - before for found in re.finditer(r"^\S+?\.cpp:(\d+):\d+: error:", said, re.M)} & set(range(source.count("\n")))


def judge(words, directory):
    with tempfile.TemporaryDirectory() as folder:
        good = HEAD + "".join(f"    {line}\n" for line in GOOD) + TAIL
        said = test_unbounded.compile(words, directory, good, folder)
        if said:
            yield f"what states its orders does not compile: {said.strip()}"
        bad = HEAD + "".join(f"    {line}\n" for line in BAD) + TAIL
        wrong = lines_with_errors(test_unbounded.compile(words, directory, bad, folder), bad)
        first = HEAD.count("\n")
        for number, line in enumerate(BAD, first):
            if number not in wrong:
                yield f"this compiles: {line}"


def main():
    found, seen = [], set()
    for path, words, directory in test_unbounded.commands(sys.argv[1]):
        if path in FILES and path not in seen:
            seen.add(path)
            found += [f"{path}: {line}" for line in judge(words, directory)]
    found += [f"{path}: not compiled" for path in FILES if path not in seen]
    print(f"{len(seen)} parts, {len(BAD)} operations without an order, {len(found)} complaints")
    print("\n".join(found))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
