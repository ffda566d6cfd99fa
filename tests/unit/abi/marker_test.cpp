// The marker's encoding is a contract with guests already built: these bytes may never change.
// SPDX-License-Identifier: MIT
#include "paravane/marker.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <set>
#include <span>

extern "C" void marker_from_c11(std::uint64_t device);
std::uint64_t marker_argument(std::uint64_t value);
void marker_from_cxx11(std::uint64_t device);

namespace {

int calls = 0;

/// Whether the code that begins at `function` holds the eight bytes of marker `number`.
bool holds_marker(const void* function, std::uint32_t number) {
    constexpr std::size_t window = 512;  // far more than the functions above need
    std::array<unsigned char, 8> wanted = {0x0f, 0x1f, 0x84, 0x00, 0, 0, 0x56, 0x50};
    std::memcpy(&wanted[4], &number, 2);
    std::array<unsigned char, window> code{};
    std::memcpy(code.data(), function, window);
    return std::search(code.begin(), code.end(), wanted.begin(), wanted.end()) != code.end();
}

TEST(Marker, IsTheEightByteNoOpWithMagicAndNumber) {
    EXPECT_TRUE(holds_marker(reinterpret_cast<const void*>(&marker_from_c11), 0x10));
    EXPECT_TRUE(holds_marker(reinterpret_cast<const void*>(&marker_from_cxx11), 0x11));
    EXPECT_FALSE(holds_marker(reinterpret_cast<const void*>(&marker_from_c11), 0x7777))
        << "or the search finds anything";
}

TEST(Marker, DoesNothingOnThisProcessor) {
    marker_from_c11(0x80);
    calls = 0;
    marker_from_cxx11(0x80);
    EXPECT_EQ(calls, 5) << "each argument is evaluated exactly once";
}

// The no-op keeps registers as they are, so an asm right behind it reads what a watcher would. A sanitizer
// would put code of its own between the two.
__attribute__((no_sanitize("address"), no_sanitize("undefined"))) std::array<std::uint64_t, 2>
read_behind_marker() {
    std::uint64_t r8 = 0;
    std::uint64_t r9 = 0;
    PV_MARK(command_submit, marker_argument(1), 2, 3, 4, marker_argument(0xfeed), marker_argument(0xbeef));
    asm volatile("mov %%r8, %0\n\tmov %%r9, %1" : "=r"(r8), "=r"(r9) : : "memory");
    return {r8, r9};
}

TEST(Marker, ArgumentsReachTheirRegisters) {
    const auto [r8, r9] = read_behind_marker();
    EXPECT_EQ(r8, 0xfeedU);
    EXPECT_EQ(r9, 0xbeefU);
}

TEST(Marker, NumbersAreUniqueAndFitTheEncoding) {
    std::set<std::uint32_t> seen;
#define PV_CHECK(number, name, a0, a1, a2, a3, a4, a5) \
    EXPECT_TRUE(seen.insert(number).second) << #name;  \
    EXPECT_GT(number, 0) << #name;                     \
    EXPECT_LE(number, 0xffff) << #name;
    PV_MARKERS(PV_CHECK)
#undef PV_CHECK
}

}  // namespace

std::uint64_t marker_argument(std::uint64_t value) {
    ++calls;
    return value;
}
