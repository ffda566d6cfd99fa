// What apt prints, understood.
// SPDX-License-Identifier: MIT
#include "images/apt.hpp"

#include <gtest/gtest.h>

namespace pv::images {
namespace {

TEST(AptOutput, files_with_their_versions_are_found_between_the_talk) {
    const auto files = parse_uris(
        "Reading package lists...\n"
        "'http://mirror/b/bash_5.2%2bb13_amd64.deb' bash_5.2+b13_amd64.deb 1490652 SHA256:00\n"
        "'http://mirror/z/zlib1g_1.2_amd64.deb' zlib1g_1%3a1.2_amd64.deb 86684 MD5Sum:ec\n",
        "/cache");
    ASSERT_EQ(files.size(), 2U);
    EXPECT_EQ(files[0].name, "bash");
    EXPECT_EQ(files[0].version, "5.2+b13");
    EXPECT_EQ(files[0].size, 1'490'652U);
    EXPECT_EQ(files[1].version, "1:1.2");
    EXPECT_EQ(files[1].architecture, "amd64");
    EXPECT_EQ(files[1].archive, "/cache/zlib1g_1%3a1.2_amd64.deb");
}

TEST(AptOutput, what_is_no_package_is_passed_over) {
    EXPECT_TRUE(
        parse_uris("'u' ../../x_1_amd64.deb 5 h\n'u' x.deb 5 h\n'u' -o_1_amd64.deb 5 h\n'u'\n'\n''\n' ", "/c")
            .empty());
}

TEST(AptOutput, names_are_those_of_debian) {
    for (const char* name : {"bash", "libstdc++6", "g++", "0ad", "libpython3.11-stdlib"}) {
        EXPECT_TRUE(is_package_name(name)) << name;
    }
    for (const char* name : {"", "a", "-y", "Bash", "a b", "a/b", "a_b", "bash*", "a\n"}) {
        EXPECT_FALSE(is_package_name(name)) << name;
    }
}

}  // namespace
}  // namespace pv::images
