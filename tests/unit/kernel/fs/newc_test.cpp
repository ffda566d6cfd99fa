// Archives: what they make, and what is refused with its reason.
// SPDX-License-Identifier: MIT
#include "fs/newc.hpp"

#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "tree.hpp"

namespace pv::fs {
namespace {

using test::error_of;
using test::Tree;

struct Item {
    std::string name;
    std::uint32_t mode = 0100644;
    std::string data{};
    std::uint32_t links = 1;
    std::uint32_t number = 0;
};

std::string pad(std::string text) {
    text.resize((text.size() + 3) & ~std::size_t{3});
    return text;
}

std::string entry(const Item& item) {
    char header[111];
    std::snprintf(header, sizeof header, "070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x",
                  item.number, item.mode, 0U, 0U, item.links, 1000U, static_cast<unsigned>(item.data.size()),
                  0U, 0U, 5U, 1U, static_cast<unsigned>(item.name.size() + 1), 0U);
    return pad(pad(header + item.name + '\0') + item.data);
}

std::string archive(const std::vector<Item>& items) {
    std::string text;
    for (const Item& item : items) {
        text += entry(item);
    }
    return text + entry({.name = "TRAILER!!!", .mode = 0});
}

struct Unpacked : Tree {
    explicit Unpacked(std::string_view text) {
        EXPECT_TRUE(make_directory("/in"));
        EXPECT_TRUE(put("/secret", "untouched"));
        result = unpack_newc(std::as_bytes(std::span(text)), find("/in").value(), report);
    }

    UnpackReport report;
    Outcome<> result;
};

TEST(Newc, MakesEveryTypeOfFile) {
    Unpacked tree(archive({{".", 040755},
                           {"usr", 040755},
                           {"usr/bin", 040750},
                           {"bin", 0120777, "usr/bin"},
                           {"bin/sh", 0100755, "program"},
                           {"dev", 040755},
                           {"dev/console", 020600},
                           {"run", 010600},
                           {"one", 0100600, "", 2, 77},
                           {"two", 0100600, "contents", 2, 77}}) +
                  std::string(512, '\0') + archive({{"bin/sh", 0100711, "newer"}}));
    ASSERT_TRUE(tree.result) << tree.report.reason;
    EXPECT_EQ(tree.report.files, 11U);
    EXPECT_EQ(tree.get("/in/usr/bin/sh"), "newer");
    EXPECT_EQ(tree.find("/in/bin/sh")->node->attributes().mode, 0711);
    EXPECT_EQ(tree.find("/in/one")->node->attributes().modified.seconds, 1000);
    EXPECT_EQ(tree.find("/in/usr/bin")->node->attributes().modified.seconds, 1000);
    EXPECT_EQ(tree.find("/in/dev/console")->node->attributes().special, (DeviceNumber{5, 1}));
    EXPECT_EQ(tree.find("/in/run")->node->type(), NodeType::fifo);
    EXPECT_EQ(tree.get("/in/one"), "contents");
    EXPECT_EQ(tree.find("/in/one")->node, tree.find("/in/two")->node);
}

TEST(LedgerNewc, NothingOutsideTheRootIsTouched) {
    EXPECT_STREQ(Unpacked(archive({{"../secret", 0100644, "x"}})).report.reason,
                 "an entry's name leads upward");
    EXPECT_STREQ(Unpacked(archive({{"a/../../secret", 0100644, "x"}})).report.reason,
                 "an entry's name leads upward");
    for (const std::string target : {"..", "/", "../..", "/.."}) {
        Unpacked tree(archive({{"up", 0120777, target}, {"up/secret", 0100644, "x"}}));
        EXPECT_TRUE(tree.result) << target;
        EXPECT_EQ(tree.get("/secret"), "untouched") << target;
        EXPECT_EQ(tree.get("/in/secret"), "x") << target;
    }
    Unpacked through(archive({{"secret", 0120777, "../secret"}, {"secret", 0100644, "x"}}));
    EXPECT_EQ(through.get("/secret"), "untouched");
    Unpacked absolute(archive({{"/secret", 0100644, "x"}}));
    EXPECT_EQ(absolute.get("/secret"), "untouched");
    EXPECT_EQ(absolute.get("/in/secret"), "x");
}

TEST(Newc, SaysWhatIsWrong) {
    const auto reason = [](std::string_view text) {
        const Unpacked tree(text);
        EXPECT_FALSE(tree.result);
        return std::string(tree.report.reason == nullptr ? "none" : tree.report.reason);
    };
    const std::string good = archive({{"a", 0100644, "12345678"}});
    EXPECT_EQ(reason(""), "there is no archive");
    EXPECT_EQ(reason(std::string(100, '\0')), "there is no archive");
    EXPECT_EQ(reason("\x1f\x8b\x08 and so on"), "the archive is compressed: give it as it is");
    EXPECT_EQ(reason("junk"), "an entry does not begin with 070701");
    EXPECT_EQ(reason(good.substr(0, 50)), "the archive ends within an entry's header");
    EXPECT_EQ(reason(good.substr(0, 111)), "the archive ends within an entry's name");
    EXPECT_EQ(reason(good.substr(0, 116)), "the archive ends within an entry's contents");
    std::string wrong = good;
    wrong[20] = 'g';
    EXPECT_EQ(reason(wrong), "an entry's header is not in hexadecimal digits");
    wrong = good;
    wrong[111] = 'x';
    EXPECT_EQ(reason(wrong), "an entry's name does not end where its length says");
    EXPECT_EQ(reason(archive({{"a", 0}})), "an entry is of no known type");
    EXPECT_EQ(reason(archive({{"a/b", 0100644, "x"}})), "an entry could not be made");
    EXPECT_EQ(reason(archive({{"d", 040755}, {"d", 0100644, "x"}})), "an entry replaces a directory");
}

TEST(Newc, EveryPrefixOfAnArchiveIsRefusedOrTaken) {
    const std::string good = archive({{"d", 040755}, {"d/a", 0100644, "12345678"}, {"l", 0120777, "d/a"}});
    for (std::size_t length = 0; length < good.size(); ++length) {
        const Unpacked tree(std::string_view(good).substr(0, length));
        EXPECT_EQ(tree.result.has_value(), tree.report.reason == nullptr) << length;
    }
}

// An archive of a program not written here.
TEST(Newc, TakesWhatCpioWrites) {
    const std::filesystem::path folder =
        std::filesystem::temp_directory_path() / ("newc." + std::to_string(::getpid()));
    std::filesystem::create_directories(folder / "in/d");
    std::ofstream(folder / "in/d/file") << "by cpio";
    std::filesystem::create_hard_link(folder / "in/d/file", folder / "in/linked");
    std::filesystem::create_symlink("d/file", folder / "in/link");
    const std::string command = "cd '" + (folder / "in").string() +
                                "' && find . | LC_ALL=C sort | cpio --quiet -o -H newc > ../archive";
    ASSERT_EQ(std::system(command.c_str()), 0);
    std::ifstream file(folder / "archive", std::ios::binary);
    const std::string text{std::istreambuf_iterator<char>(file), {}};
    std::filesystem::remove_all(folder);
    Unpacked tree(text);
    ASSERT_TRUE(tree.result) << tree.report.reason;
    EXPECT_EQ(tree.get("/in/link"), "by cpio");
    EXPECT_EQ(tree.find("/in/linked")->node, tree.find("/in/d/file")->node);
}

}  // namespace
}  // namespace pv::fs
