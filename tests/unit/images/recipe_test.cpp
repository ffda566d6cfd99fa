// Recipes: what they say, and where they are wrong.
// SPDX-License-Identifier: MIT
#include "images/recipe.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace pv::images {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(Recipe, everything_is_read) {
    const auto recipe = parse_recipe(R"(
description = "all of it"
command = ["/bin/x", "-v"]
session = ["/bin/x", "--test"]
memory = "64M"
writable-code = true
directory = "/srv"
packages = ["one", "two | three"]
exclude = ["/usr/share/doc/*"]
allow-missing = ["libnone.so"]
[programs]
four = ["/bin/x", "/usr/bin/*"]
[environment]
A = "b=c"
[files]
"/etc/motd" = { text = "hi\n" }
"/bin/y" = { from = "y.sh", mode = "0755" }
[links]
"/bin/sh" = "x"
[directories]
"/tmp/a" = "1777"
)",
                                     "/recipes/all.toml");
    ASSERT_TRUE(recipe.has_value()) << recipe.error().message;
    EXPECT_EQ(recipe->name, "all");
    EXPECT_THAT(recipe->command, ElementsAre("/bin/x", "-v"));
    EXPECT_THAT(recipe->session, ElementsAre("/bin/x", "--test"));
    EXPECT_EQ(recipe->memory, std::uint64_t{64} << 20);
    EXPECT_TRUE(recipe->writable_code);
    EXPECT_EQ(recipe->directory, "/srv");
    EXPECT_THAT(recipe->packages, ElementsAre("one", "two | three"));
    EXPECT_THAT(recipe->programs.at("four"), ElementsAre("/usr/bin/x", "/usr/bin/*"));
    EXPECT_EQ(recipe->environment.at("A"), "b=c");
    EXPECT_EQ(recipe->files.at("/etc/motd").text, "hi\n");
    EXPECT_EQ(recipe->files.at("/usr/bin/y").from, "/recipes/y.sh");
    EXPECT_EQ(recipe->files.at("/usr/bin/y").mode, 0755U);
    EXPECT_EQ(recipe->links.at("/usr/bin/sh"), "x");
    EXPECT_EQ(recipe->directories.at("/tmp/a"), 01777U);
}

struct Wrong {
    const char* text;
    const char* says;
};

class WrongRecipe : public testing::TestWithParam<Wrong> {};

TEST_P(WrongRecipe, is_named_with_its_place) {
    const auto recipe = parse_recipe(GetParam().text, "r.toml");
    ASSERT_FALSE(recipe.has_value());
    EXPECT_EQ(recipe.error().status, ExitStatus::usage);
    EXPECT_THAT(recipe.error().message, HasSubstr(GetParam().says));
    EXPECT_THAT(recipe.error().message, testing::StartsWith("r.toml:"));
    EXPECT_FALSE(recipe.error().hint.empty());
}

INSTANTIATE_TEST_SUITE_P(
    Each, WrongRecipe,
    testing::Values(Wrong{"", "command"}, Wrong{"command = []", "command"}, Wrong{"command = 'x'", "no list"},
                    Wrong{"command = [1]", "no text"},
                    Wrong{"command = ['x']\nsession = []", "2:11: 'session' names no program"},
                    Wrong{"command = ['x']\nname = 'y'", "2:1: unknown key 'name'"},
                    Wrong{"command = ['x'", "r.toml:1:"}, Wrong{"command = ['x']\npackages = ['-o']", "'-o'"},
                    Wrong{"command = ['x']\npackages = ['a b']", "'a b'"},
                    Wrong{"command = ['x']\npackages = ['aa | ']", "'aa | '"},
                    Wrong{"command = ['x']\n[programs]\nbash = ['../x']", "not absolute"},
                    Wrong{"command = ['x']\n[files]\n'/a/../b' = { text = '' }", "upwards"},
                    Wrong{"command = ['x']\n[files]\n'/a' = { text = '', from = 'x' }", "either"},
                    Wrong{"command = ['x']\n[files]\n'/a' = { text = '', mode = '999' }", "no mode"},
                    Wrong{"command = ['x']\n[links]\n'/a' = ''", "nowhere"},
                    Wrong{"command = ['x']\n[environment]\n'A=B' = 'c'", "variable"},
                    Wrong{"command = [\"a\\u0000b\"]", "NUL"},
                    Wrong{"command = ['x']\nwritable-code = 'yes'", "true or false"},
                    Wrong{"command = ['x']\nmemory = 'much'", "much"}));

}  // namespace
}  // namespace pv::images
