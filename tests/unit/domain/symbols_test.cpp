// Symbols of kernels: C++ names as people read them, maps, and files that are neither.
// SPDX-License-Identifier: MIT
#include "domain/symbols.hpp"

#include <gtest/gtest.h>

#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <map>
#include <string>

namespace pv::domain::sample {

// Not static and never inlined: it must have a symbol in this very program, which the test reads.
__attribute__((noinline, used)) int with_parameters(int value, const char* text) {
    return value + (text == nullptr ? 1 : 2);
}

}  // namespace pv::domain::sample

namespace {

using namespace pv::domain;

std::map<std::string, std::uint64_t> symbols_of(const std::string& path) {
    std::map<std::string, std::uint64_t> found;
    const auto taken = read_symbols(path, [&](const KernelSymbol& symbol) -> pv::Result<> {
        found.emplace(symbol.name, symbol.address);
        return {};
    });
    EXPECT_TRUE(taken.has_value());
    return found;
}

std::string temporary_file(const std::string& content) {
    std::string path = testing::TempDir() + "pv-symbols-XXXXXX";
    ::close(::mkstemp(path.data()));
    std::ofstream(path) << content;
    return path;
}

TEST(Symbols, NamesCxxFunctionsWithoutTheirParameters) {
    const auto found = symbols_of("/proc/self/exe");
    EXPECT_TRUE(found.contains("pv::domain::sample::with_parameters"));
    EXPECT_TRUE(found.contains("main"));
    EXPECT_FALSE(found.contains("_ZN2pv6domain6sample15with_parametersEiPKc"));
}

TEST(Symbols, ReadsASystemMap) {
    const std::string path =
        temporary_file("ffffffff81000000 T _text\nffffffff81000040 t secondary_startup\n");
    const auto found = symbols_of(path);
    EXPECT_EQ(found.size(), 2U);
    EXPECT_EQ(found.at("secondary_startup"), 0xffffffff81000040U);
    ::unlink(path.c_str());
}

TEST(Symbols, RefusesWhatIsNeither) {
    const std::string path = temporary_file("hello\n");
    const auto taken = read_symbols(path, [](const KernelSymbol&) -> pv::Result<> { return {}; });
    ASSERT_FALSE(taken.has_value());
    EXPECT_NE(taken.error().hint.find("System.map"), std::string::npos);
    ::unlink(path.c_str());
}

}  // namespace
