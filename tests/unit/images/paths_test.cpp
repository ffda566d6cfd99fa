// Paths in images.
// SPDX-License-Identifier: MIT
#include "images/paths.hpp"

#include <gtest/gtest.h>

namespace pv::images {
namespace {

TEST(ImagePath, is_normal_and_in_the_merged_layout) {
    EXPECT_EQ(image_path("/usr//bin/./x").value(), "/usr/bin/x");
    EXPECT_EQ(image_path("/bin/x").value(), "/usr/bin/x");
    EXPECT_EQ(image_path("/lib/x86_64-linux-gnu/libc.so.6").value(), "/usr/lib/x86_64-linux-gnu/libc.so.6");
    EXPECT_EQ(image_path("./lib64/ld.so", true).value(), "/usr/lib64/ld.so");
    EXPECT_EQ(image_path("/bin/").value(), "/bin");
    EXPECT_EQ(image_path("/binary/x").value(), "/binary/x");
    EXPECT_EQ(image_path("/").value(), "/");
    EXPECT_EQ(image_path("./", true).value(), "/");
}

TEST(ImagePath, what_leads_elsewhere_is_refused) {
    for (const char* text : {"", "usr/bin", "/..", "/usr/../etc", "/a/..", "/a\nb", "/a\x7f"}) {
        EXPECT_FALSE(image_path(text).has_value()) << text;
    }
    for (const char* text : {"../x", "./../x", "a/../../x", "/../x"}) {
        EXPECT_FALSE(image_path(text, true).has_value()) << text;
    }
    EXPECT_FALSE(image_path(std::string("/a\0b", 4)).has_value());
    EXPECT_FALSE(image_path("/" + std::string(256, 'a')).has_value());
    std::string deep;
    while (deep.size() < 4'096) {
        deep += "/a";
    }
    EXPECT_FALSE(image_path(deep).has_value());
}

TEST(ImagePath, patterns_stop_at_a_slash) {
    EXPECT_TRUE(matches("/usr/bin/*sum", "/usr/bin/md5sum"));
    EXPECT_FALSE(matches("/usr/*", "/usr/bin/md5sum"));
    EXPECT_TRUE(is_within("/usr/bin/x", "/usr"));
    EXPECT_FALSE(is_within("/usrx", "/usr"));
}

}  // namespace
}  // namespace pv::images
