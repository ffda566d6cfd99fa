// Archives: the same bytes each time, whole or not at all, and a run's own records behind them.
// SPDX-License-Identifier: MIT
#include "images/cpio.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "images/start.hpp"
#include "making.hpp"

namespace pv::images {
namespace {

namespace fs = std::filesystem;
using test::read_file;
using ::testing::HasSubstr;

Tree some_tree(bool backwards) {
    std::vector<std::pair<std::string, Node>> nodes = {{"/a", directory(0755)},
                                                       {"/a/file", file(std::string(5'001, 'x'), 0644)},
                                                       {"/a/link", symlink("file")},
                                                       {"/init", file("program", 0755)}};
    Node device;
    device.kind = Node::Kind::character_device;
    device.major = 5;
    device.minor = 1;
    nodes.emplace_back("/console", device);
    if (backwards) {
        std::ranges::reverse(nodes);
    }
    Tree tree;
    for (const auto& [path, node] : nodes) {
        EXPECT_TRUE(tree.add(path, node).has_value());
    }
    return tree;
}

TEST(Image, the_same_tree_gives_the_same_bytes_in_whatever_order_it_was_made) {
    const test::Folder folder;
    ASSERT_TRUE(write_image(some_tree(false), folder.path() / "one", 0).has_value());
    ASSERT_TRUE(write_image(some_tree(true), folder.path() / "two", 0).has_value());
    ASSERT_TRUE(write_image(some_tree(true), folder.path() / "later", 1'000'000'000).has_value());
    EXPECT_EQ(read_file(folder.path() / "one"), read_file(folder.path() / "two"));
    EXPECT_NE(read_file(folder.path() / "one"), read_file(folder.path() / "later"));
    EXPECT_THAT(read_file(folder.path() / "later"), HasSubstr("3b9aca00"));
}

TEST(Image, is_read_back_as_it_was) {
    const test::Folder folder;
    ASSERT_TRUE(write_image(some_tree(false), folder.path() / "i", 0).has_value());
    const auto nodes = read_image(folder.path() / "i").value();
    ASSERT_EQ(nodes.size(), 5U);
    EXPECT_EQ(nodes[1].first, "/a/file");
    EXPECT_EQ(nodes[1].second.content->size(), 5'001U);
    EXPECT_EQ(nodes[2].second.target, "file");
    EXPECT_EQ(nodes[3].second.major, 5U);
}

TEST(Image, a_runs_records_stand_behind_the_entries_in_one_archive) {
    const test::Folder folder;
    ASSERT_TRUE(write_image(some_tree(false), folder.path() / "i", 0).has_value());
    Start start;
    start.command = {"/bin/echo", "two words", ""};
    start.environment = {{"TERM", "xterm"}};
    start.console = {24, 80};
    start.input = Input::pipe;
    start.output_is_pipe = true;
    ASSERT_TRUE(copy_with_start(folder.path() / "i", folder.path() / "run", start).has_value());
    const auto nodes = read_image(folder.path() / "run").value();
    ASSERT_EQ(nodes.size(), 6U);
    EXPECT_EQ(nodes.back().first, PV_IMAGE_RUN_START);
    constexpr std::string_view records("A/bin/echo\0Atwo words\0A\0ETERM=xterm\0S24 80\0I\0O\0", 47);
    EXPECT_EQ(*nodes.back().second.content, records);
    const std::string bytes = read_file(folder.path() / "run");
    EXPECT_EQ(bytes.find("TRAILER!!!"), bytes.rfind("TRAILER!!!"));
}

TEST(Image, what_is_no_image_of_ours_is_not_copied) {
    const test::Folder folder;
    for (const std::string& bytes :
         {std::string(), std::string("x"), std::string(4'096, 'x'), std::string(200, '0') + "TRAILER!!!"}) {
        test::write_file(folder.path() / "i", bytes);
        const auto result = copy_with_start(folder.path() / "i", folder.path() / "run", {});
        ASSERT_FALSE(result.has_value());
        EXPECT_FALSE(fs::exists(folder.path() / "run"));
        [[maybe_unused]] const auto either = read_image(folder.path() / "i");
    }
}

TEST(Image, is_written_whole_or_not_at_all) {
    const test::Folder folder;
    test::write_file(folder.path() / "i", "what was there");
    fs::create_directory(folder.path() / "d");
    EXPECT_FALSE(write_image(some_tree(false), folder.path() / "d", 0).has_value());
    EXPECT_FALSE(write_image(some_tree(false), folder.path() / "none" / "i", 0).has_value());
    EXPECT_FALSE(copy_image(folder.path() / "d", folder.path() / "i", {}).has_value());
    EXPECT_EQ(read_file(folder.path() / "i"), "what was there");
    EXPECT_EQ(std::distance(fs::directory_iterator(folder.path()), {}), 2);
}

TEST(Image, a_word_that_is_too_long_is_refused) {
    const test::Folder folder;
    ASSERT_TRUE(write_image(some_tree(false), folder.path() / "i", 0).has_value());
    Start start;
    start.command = {std::string(70'000, 'x')};
    EXPECT_FALSE(copy_with_start(folder.path() / "i", folder.path() / "run", start).has_value());
}

}  // namespace
}  // namespace pv::images
