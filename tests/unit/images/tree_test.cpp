// The tree of an image's files.
// SPDX-License-Identifier: MIT
#include "images/tree.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace pv::images {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(Tree, links_are_followed_and_never_lead_above_the_root) {
    Tree tree;
    ASSERT_TRUE(tree.add("/usr/bin/real", file("x", 0755)));
    ASSERT_TRUE(tree.add("/bin", symlink("usr/bin")));
    ASSERT_TRUE(tree.add("/usr/bin/up", symlink("../../../../bin/real")));
    std::vector<std::string> links;
    EXPECT_EQ(tree.resolve("/bin/up", &links), "/usr/bin/real");
    EXPECT_THAT(links, ElementsAre("/bin", "/usr/bin/up", "/bin"));
    EXPECT_EQ(tree.resolve("/usr/bin/none"), "");
    EXPECT_EQ(tree.resolve("/usr/bin/real/below"), "");
}

TEST(Tree, a_circle_of_links_leads_nowhere) {
    Tree tree;
    ASSERT_TRUE(tree.add("/a", symlink("b")));
    ASSERT_TRUE(tree.add("/b", symlink("/a")));
    EXPECT_EQ(tree.resolve("/a"), "");
}

TEST(Tree, a_file_is_placed_where_links_lead) {
    Tree tree;
    ASSERT_TRUE(tree.add("/lib", symlink("usr/lib")));
    ASSERT_TRUE(tree.add("/usr/lib", directory(0755)));
    EXPECT_EQ(tree.add("/lib/x.so", file("x", 0644)).value(), "/usr/lib/x.so");
    EXPECT_NE(tree.find("/usr/lib/x.so"), nullptr);
}

TEST(Tree, two_different_files_at_one_place_name_both_owners) {
    Tree tree;
    ASSERT_TRUE(tree.add("/x", file("1", 0644, "one")));
    EXPECT_TRUE(tree.add("/x", file("1", 0644, "other")));
    const auto result = tree.add("/x", file("2", 0644, "other"));
    ASSERT_FALSE(result.has_value());
    EXPECT_THAT(result.error().message,
                AllOf(HasSubstr("package one"), HasSubstr("package other"), HasSubstr("'/x'")));
    EXPECT_FALSE(tree.add("/x/below", file("2", 0644)));
}

TEST(Tree, folders_above_everything_are_added) {
    Tree tree;
    ASSERT_TRUE(tree.add("/a/b/c", file("1", 0644)));
    tree.complete();
    ASSERT_NE(tree.find("/a"), nullptr);
    EXPECT_EQ(tree.find("/a/b")->kind, Node::Kind::directory);
}

}  // namespace
}  // namespace pv::images
