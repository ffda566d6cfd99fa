// Profiles as people write them, and kernels that are none.
// SPDX-License-Identifier: MIT
#include "profiles/profile.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "profiles/layout.hpp"
#include "profiles/linux_image.hpp"
#include "profiles/resolve.hpp"
#include "temporary.hpp"

namespace pv::profiles {
namespace {

const std::string good = R"(description = "one"
kernel = "^Linux version 6\\.1\\."

[[call]]
symbol = "dma_map_page_attrs"
does = "map"
device = "0"
bus = "result"
length = "3"
direction = "4"
fails-with = -1

[[call]]
symbol = "dma_unmap_page_attrs"
does = "unmap"
device = "0"
bus = "1"
length = "2"
)";

TEST(Profile, IsUnderstood) {
    const auto profile = parse_profile(good, "here/one.toml");
    ASSERT_TRUE(profile) << profile.error().message;
    EXPECT_EQ(profile->name, "one");
    ASSERT_EQ(profile->calls.size(), 2U);
    EXPECT_EQ(profile->calls[0].deed, Deed::map);
    EXPECT_EQ(profile->calls[0].failure, -1);
    EXPECT_EQ(profile->calls[0].operands.size(), 4U);
    EXPECT_EQ(profile->calls[1].symbol, "dma_unmap_page_attrs");
}

TEST(Profile, MistakesHaveALineAndAHint) {
    struct Mistake {
        std::string from, to, says;
    };

    const std::vector<Mistake> mistakes = {
        {"description = \"one\"", "description = 1", "1:15: 'description'"},
        {"6\\\\.1\\\\.", "(", "no regular expression"},
        {"symbol = \"dma_map_page_attrs\"\n", "", "no symbol"},
        {"does = \"map\"", "does = \"maps\"", "does nothing that is known"},
        {"bus = \"result\"\n", "", "'bus' is missing"},
        {"length = \"3\"", "length = \"6\"", "'6' is no place of 'length'"},
        {"length = \"3\"", "length = 3", "wrong kind"},
        {"bus = \"1\"", "bus = \"result\"", "'result' is no place of 'bus'"},
        {"direction = \"4\"", "direcction = \"4\"", "unknown key 'direcction'"},
        {"does = \"unmap\"", "does = \"release\"", "'page' is missing"},
        {"does = \"unmap\"", "does = \"shootdown\"", "'space' is missing"},
        {"[[call]]", "[[cull]]", "[[call]]"},
        {"kernel =", "kernel", "2:"},
    };
    for (const Mistake& one : mistakes) {
        std::string text = good;
        for (std::size_t at = 0; (at = text.find(one.from, at)) != std::string::npos; at += one.to.size()) {
            text.replace(at, one.from.size(), one.to);
        }
        const auto result = parse_profile(text, "f.toml");
        ASSERT_FALSE(result) << one.to;
        EXPECT_EQ(result.error().status, ExitStatus::usage);
        EXPECT_THAT(result.error().message, ::testing::StartsWith("f.toml:")) << one.to;
        EXPECT_THAT(result.error().message, ::testing::HasSubstr(one.says));
        EXPECT_FALSE(result.error().hint.empty()) << one.to;
    }
}

TEST(Profile, NamesAreLookedUpAndTheKnownOnesListed) {
    const test::TemporaryFolder folder;
    std::ofstream(folder / "one.toml") << good;
    EXPECT_TRUE(read_profile("one", folder / "."));
    EXPECT_TRUE(read_profile((folder / "one.toml").string(), "nowhere"));
    std::ofstream(folder / "same.toml") << "kernel = \"6\\\\.12\"\ncalls-of = \"one\"\n";
    const auto same = read_profile("same", folder / ".");
    ASSERT_TRUE(same) << same.error().message;
    EXPECT_EQ(same->calls.size(), 2U);
    EXPECT_EQ(same->kernel, "6\\.12");
    std::ofstream(folder / "loop.toml") << "calls-of = \"loop\"\n";
    EXPECT_FALSE(read_profile("loop", folder / "."));
    std::ofstream(folder / "both.toml") << "calls-of = \"one\"\n" << good;
    const auto both = read_profile("both", folder / ".");
    ASSERT_TRUE(both) << both.error().message;
    EXPECT_EQ(both->calls.size(), 4U) << "its own, and the other's";
    const auto missing = read_profile("two", folder / ".");
    ASSERT_FALSE(missing);
    EXPECT_THAT(missing.error().hint, ::testing::HasSubstr("one"));
    EXPECT_FALSE(read_profile("../..", folder / "."));
}

TEST(Profile, FilesThatAreNoLinuxKernelAreRefused) {
    const test::TemporaryFolder folder;
    std::string header(4096, '\0');
    header.replace(0x202, 4, "HdrS");
    header[0x207] = 2;
    header[0x206] = 8;
    for (const std::string& text : {std::string(), std::string("text"), header,
                                    "\x7f"
                                    "ELF" +
                                        std::string(100, 'x'),
                                    header.substr(0, 0x24c) + std::string(2000, '\xff')}) {
        std::ofstream(folder / "k", std::ios::binary) << text;
        const auto image = LinuxImage::read(folder / "k");
        ASSERT_FALSE(image);
        EXPECT_EQ(image.error().status, ExitStatus::usage);
    }
    EXPECT_FALSE(LinuxImage::read(folder / "none"));
    EXPECT_FALSE(LinuxImage::read("/dev/null"));
}

TEST(Profile, AKernelWithoutTypesIsNotResolved) {
    EXPECT_FALSE(Layout::read(""));
    EXPECT_FALSE(Layout::read(std::string(4096, '\x9f')));
}

}  // namespace
}  // namespace pv::profiles
