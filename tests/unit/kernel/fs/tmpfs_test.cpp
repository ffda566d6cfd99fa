// tmpfs: names, contents, limits, and what stays when it is taken away.
// SPDX-License-Identifier: MIT
#include "fs/tmpfs.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/falloc.h>

#include <map>
#include <random>
#include <thread>

#include "hosted/control.hpp"
#include "memory/direct_map.hpp"
#include "tree.hpp"

namespace pv::fs {
namespace {

using test::error_of;
using test::Tree;
using testing::ElementsAre;

TEST(Tmpfs, WritesAndReadsBack) {
    Tree tree;
    ASSERT_TRUE(tree.put("/a", "hello"));
    EXPECT_EQ(tree.get("/a"), "hello");
    ASSERT_TRUE(tree.put("/a", "bye"));
    EXPECT_EQ(tree.get("a"), "bye");
    EXPECT_EQ(error_of(tree.get("/b")), Errno::enoent);
}

TEST(Tmpfs, AppendsAtTheEndWhereverThePositionIs) {
    Tree tree;
    ASSERT_TRUE(tree.put("/a", "one"));
    const auto first = open(tree.caller(), "/a", open_flag::read_write | open_flag::append, 0).value();
    const auto second = open(tree.caller(), "/a", open_flag::write_only | open_flag::append, 0).value();
    ASSERT_TRUE(Tree::write(*second, "two"));
    ASSERT_TRUE(Tree::write(*first, "three"));
    EXPECT_EQ(tree.get("/a"), "onetwothree");
    EXPECT_EQ(first->seek(0, Whence::current), 11U);
}

TEST(Tmpfs, HolesReadAsZerosAndTakeNoPages) {
    Tree tree;
    const auto file = open(tree.caller(), "/a", open_flag::create | open_flag::read_write, 0600).value();
    SpanSource source(std::as_bytes(std::span("x", 1)));
    ASSERT_EQ(file->write_at(std::uint64_t{1} << 40, source), 1U);
    const Attributes attributes = file->attributes();
    EXPECT_EQ(attributes.size, (std::uint64_t{1} << 40) + 1);
    EXPECT_EQ(attributes.blocks, 8U);
    std::string text(3, '?');
    SpanTarget target(std::as_writable_bytes(std::span(text)));
    ASSERT_EQ(file->read_at((std::uint64_t{1} << 40) - 2, target), 3U);
    EXPECT_EQ(text, std::string("\0\0x", 3));
    EXPECT_EQ(file->seek(0, Whence::data), std::uint64_t{1} << 40);
    EXPECT_EQ(file->seek(0, Whence::hole), 0U);
    EXPECT_EQ(error_of(file->seek((std::int64_t{1} << 40) + 1, Whence::data)), Errno::enxio);
}

TEST(Tmpfs, CutShortAndGrownAgainIsZeros) {
    Tree tree;
    ASSERT_TRUE(tree.put("/a", std::string(9000, 'x')));
    const Location file = tree.find("/a").value();
    ASSERT_TRUE(truncate(tree.caller(), file, 5000));
    ASSERT_TRUE(truncate(tree.caller(), file, 9000));
    EXPECT_EQ(tree.get("/a"), std::string(5000, 'x') + std::string(4000, '\0'));
    ASSERT_TRUE(file.node->allocate(FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 100, 4500));
    EXPECT_EQ(tree.get("/a"), std::string(100, 'x') + std::string(4500, '\0') + std::string(400, 'x') +
                                  std::string(4000, '\0'));
}

TEST(Tmpfs, UnlinkedFilesLiveWhileTheyAreOpen) {
    Tree tree;
    ASSERT_TRUE(tree.put("/a", "still here"));
    const auto file = open(tree.caller(), "/a", open_flag::read_only, 0).value();
    ASSERT_TRUE(remove(tree.caller(), "/a", false));
    EXPECT_EQ(error_of(tree.get("/a")), Errno::enoent);
    EXPECT_EQ(Tree::read(*file), "still here");
    EXPECT_EQ(file->attributes().links, 0U);
}

TEST(Tmpfs, HardLinksAreOneFile) {
    Tree tree;
    ASSERT_TRUE(tree.put("/a", "same"));
    ASSERT_TRUE(make_link(tree.caller(), tree.find("/a").value(), "/b"));
    EXPECT_EQ(tree.find("/b")->node->attributes().links, 2U);
    ASSERT_TRUE(remove(tree.caller(), "/a", false));
    EXPECT_EQ(tree.get("/b"), "same");
    ASSERT_TRUE(tree.make_directory("/d"));
    EXPECT_EQ(error_of(make_link(tree.caller(), tree.find("/d").value(), "/e")), Errno::eperm);
}

TEST(Tmpfs, RenameReplacesAtOnceAndRefusesWhatCannotBe) {
    Tree tree;
    ASSERT_TRUE(tree.put("/a", "new"));
    ASSERT_TRUE(tree.put("/b", "old"));
    const auto held = open(tree.caller(), "/b", open_flag::read_only, 0).value();
    ASSERT_TRUE(rename(tree.caller(), "/a", tree.caller(), "/b", {}));
    EXPECT_EQ(tree.get("/b"), "new");
    EXPECT_EQ(Tree::read(*held), "old");
    ASSERT_TRUE(tree.make_directory("/d"));
    ASSERT_TRUE(tree.make_directory("/d/e"));
    EXPECT_EQ(error_of(rename(tree.caller(), "/d", tree.caller(), "/d/e/f", {})), Errno::einval);
    EXPECT_EQ(error_of(rename(tree.caller(), "/b", tree.caller(), "/d", {})), Errno::eisdir);
    EXPECT_EQ(error_of(rename(tree.caller(), "/d/e", tree.caller(), "/b", {})), Errno::enotdir);
    ASSERT_TRUE(tree.make_directory("/x"));
    EXPECT_EQ(error_of(rename(tree.caller(), "/x", tree.caller(), "/d", {})), Errno::enotempty);
    EXPECT_EQ(error_of(rename(tree.caller(), "/x", tree.caller(), "/b", {.no_replace = true})),
              Errno::eexist);
    ASSERT_TRUE(rename(tree.caller(), "/x", tree.caller(), "/d/e", {}));
    ASSERT_TRUE(rename(tree.caller(), "/b", tree.caller(), "/d", {.exchange = true}));
    EXPECT_EQ(tree.get("/d"), "new");
    EXPECT_THAT(tree.names("/b").value(), ElementsAre(".", "..", "e"));
    EXPECT_EQ(tree.find("/b")->node->attributes().links, 3U);
    EXPECT_EQ(tree.root.node->attributes().links, 3U);
}

TEST(Tmpfs, DirectoriesGoOnlyWhenEmptyAndNothingGrowsInThemThen) {
    Tree tree;
    ASSERT_TRUE(tree.make_directory("/d"));
    ASSERT_TRUE(tree.put("/d/a", "x"));
    EXPECT_EQ(error_of(remove(tree.caller(), "/d", true)), Errno::enotempty);
    EXPECT_EQ(error_of(remove(tree.caller(), "/d", false)), Errno::eisdir);
    EXPECT_EQ(error_of(remove(tree.caller(), "/d/a", true)), Errno::enotdir);
    ASSERT_TRUE(remove(tree.caller(), "/d/a", false));
    const Location kept = tree.find("/d").value();
    ASSERT_TRUE(remove(tree.caller(), "/d", true));
    EXPECT_EQ(error_of(kept.node->create("b", {})), Errno::enoent);
}

TEST(Tmpfs, ListsWhatStaysOnceWhileOthersComeAndGo) {
    Tree tree;
    for (int i = 0; i < 100; ++i) {
        ASSERT_TRUE(tree.put("/f" + std::to_string(i), ""));
    }
    const auto directory = open(tree.caller(), "/", open_flag::read_only, 0).value();
    std::map<std::string, int> seen;
    bool more = true;
    for (int round = 0; more; ++round) {
        more = false;
        int room = 7;
        ASSERT_TRUE(directory->list([&](const DirectoryEntry& entry) {
            if (room-- == 0) {
                more = true;
                return false;
            }
            ++seen[std::string(entry.name)];
            return true;
        }));
        // Odd ones go, others come.
        (void)remove(tree.caller(), "/f" + std::to_string(2 * round + 1), false);
        ASSERT_TRUE(tree.put("/f" + std::to_string(2 * round + 1), ""));
    }
    for (int i = 0; i < 100; i += 2) {
        EXPECT_EQ(seen["f" + std::to_string(i)], 1) << i;
    }
}

TEST(LedgerTmpfs, LimitsAreEnospcAndWhatIsGivenBackServesAgain) {
    Tree tree({.pages = 10, .nodes = 5});
    EXPECT_EQ(error_of(tree.put("/a", std::string(11 * page_size, 'x'))), std::nullopt);
    EXPECT_EQ(tree.find("/a")->node->attributes().size, 10 * page_size);
    EXPECT_EQ(error_of(tree.put("/b", "x")), Errno::enospc);
    EXPECT_EQ(tree.find("/b")->node->file_system().blocks_free, 0U);
    ASSERT_TRUE(remove(tree.caller(), "/a", false));
    EXPECT_TRUE(tree.put("/b", std::string(10 * page_size, 'y')));
    EXPECT_TRUE(tree.make_directory("/1"));
    EXPECT_TRUE(tree.make_directory("/2"));
    EXPECT_TRUE(tree.make_directory("/3"));
    EXPECT_EQ(error_of(tree.make_directory("/4")), Errno::enospc);
    EXPECT_EQ(error_of(make_symbolic_link(tree.caller(), "x", "/4")), Errno::enospc);
    ASSERT_TRUE(remove(tree.caller(), "/3", true));
    EXPECT_TRUE(make_symbolic_link(tree.caller(), "x", "/4"));
}

TEST(LedgerTmpfs, RoomThatIsNotThereIsRefusedBeforeAnyIsTaken) {
    hosted::set_total_frames(1000);
    Tree tree({.pages = 10});
    ASSERT_TRUE(tree.put("/a", std::string(2 * page_size, 'x')));
    const Ref<Node> file = tree.find("/a")->node;
    EXPECT_EQ(error_of(file->allocate(0, 0, 11 * page_size)), Errno::enospc);
    EXPECT_EQ(error_of(file->allocate(0, 2 * page_size, 9 * page_size)), Errno::enospc);
    // A range that takes years to walk through.
    EXPECT_EQ(error_of(file->allocate(0, 0, std::uint64_t{1} << 60)), Errno::enospc);
    EXPECT_EQ(file->attributes().size, 2 * page_size);
    EXPECT_EQ(file->attributes().blocks, 2 * page_size / 512);
    EXPECT_TRUE(file->allocate(0, 0, 10 * page_size));
    EXPECT_EQ(file->attributes().size, 10 * page_size);
    EXPECT_EQ(usual_limits().pages, 500U);
    hosted::set_total_frames(0);
}

TEST(LedgerTmpfs, NoMemoryIsAnErrorAndLeavesTheFileUsable) {
    Tree tree;
    ASSERT_TRUE(tree.put("/a", "x"));
    const auto file = open(tree.caller(), "/a", open_flag::write_only, 0).value();
    for (std::uint64_t nth = 1; nth < 6; ++nth) {
        hosted::fail_frames_from(nth);
        const std::string much(8 * page_size, 'y');
        SpanSource source(std::as_bytes(std::span(much)));
        const auto written = file->write_at(nth * 100 * page_size, source);
        hosted::fail_frames_from(0);
        if (written) {
            EXPECT_LT(*written, much.size());
        } else {
            EXPECT_EQ(written.error(), Errno::enomem);
        }
    }
    EXPECT_TRUE(Tree::write(*file, "z"));
}

TEST(Tmpfs, MappedPagesStayUntilTheLastMappingGoes) {
    Tree tree;
    ASSERT_TRUE(tree.put("/a", std::string(2 * page_size, 'x')));
    const auto file = open(tree.caller(), "/a", open_flag::read_write, 0).value();
    Mappable& mappable = *file->mappable();
    mappable.add_mapping();
    const PhysicalAddress frame = mappable.page(1).value();
    *memory::to_pointer(frame) = std::byte{'y'};
    EXPECT_EQ(tree.get("/a")->at(page_size), 'y');
    ASSERT_TRUE(file->truncate(0));
    EXPECT_EQ(error_of(mappable.page(1)), Errno::einval);
    *memory::to_pointer(frame) = std::byte{'z'};  // AddressSanitizer looks
    mappable.drop_mapping();
}

TEST(Tmpfs, DeepTreesGoWithoutDeepRecursion) {
    Tree tree;
    Location at = tree.root;
    for (int i = 0; i < 20'000; ++i) {
        at.node = at.node->create("d", {.type = NodeType::directory, .mode = 0755}).value();
    }
    // The tree goes with its last owner, here.
}

TEST(Tmpfs, SealsHold) {
    const auto file = create_memfd("test", true).value();
    ASSERT_TRUE(Tree::write(*file, "12345"));
    ASSERT_TRUE(add_seals(*file, seal::shrink | seal::grow));
    EXPECT_EQ(error_of(file->truncate(1)), Errno::eperm);
    EXPECT_EQ(error_of(file->truncate(10)), Errno::eperm);
    EXPECT_EQ(error_of(Tree::write(*file, "6")), Errno::eperm);
    file->mappable()->add_mapping();
    EXPECT_EQ(error_of(add_seals(*file, seal::write)), Errno::ebusy);
    file->mappable()->drop_mapping();
    ASSERT_TRUE(add_seals(*file, seal::write | seal::seal));
    ASSERT_EQ(file->seek(0, Whence::set), 0U);
    EXPECT_EQ(error_of(Tree::write(*file, "6")), Errno::eperm);
    EXPECT_EQ(error_of(add_seals(*file, seal::write)), Errno::eperm);
    EXPECT_EQ(error_of(add_seals(*create_memfd("none", false).value(), seal::write)), Errno::eperm);
}

TEST(Tmpfs, RandomWorkAgainstAModel) {
    Tree tree;
    std::mt19937 random(20261121);
    std::map<std::string, std::string> model;
    const auto pick = [&](unsigned n) { return static_cast<unsigned>(random() % n); };
    for (int step = 0; step < 20'000; ++step) {
        const std::string name = "/" + std::to_string(pick(8));
        const std::string other = "/" + std::to_string(pick(8));
        switch (pick(5)) {
            case 0: {
                const std::uint64_t offset = pick(3 * page_size);
                const std::string text(pick(2 * page_size), static_cast<char>('a' + pick(26)));
                const auto file =
                    open(tree.caller(), name, open_flag::create | open_flag::write_only, 0600).value();
                SpanSource source(std::as_bytes(std::span(text)));
                ASSERT_EQ(file->write_at(offset, source), text.size());
                std::string& expected = model[name];
                if (!text.empty()) {
                    expected.resize(std::max<std::size_t>(expected.size(), offset + text.size()));
                    expected.replace(offset, text.size(), text);
                }
                break;
            }
            case 1: {
                const bool there = model.erase(name) != 0;
                ASSERT_EQ(remove(tree.caller(), name, false).has_value(), there);
                break;
            }
            case 2: {
                const auto found = model.find(name);
                ASSERT_EQ(rename(tree.caller(), name, tree.caller(), other, {}).has_value(),
                          found != model.end());
                if (found != model.end() && name != other) {
                    model[other] = std::move(found->second);
                    model.erase(name);
                }
                break;
            }
            case 3: {
                if (const auto found = model.find(name); found != model.end()) {
                    const std::uint64_t size = pick(4 * page_size);
                    ASSERT_TRUE(truncate(tree.caller(), tree.find(name).value(), size));
                    found->second.resize(size);
                }
                break;
            }
            default: {
                const auto found = model.find(name);
                const auto text = tree.get(name);
                ASSERT_EQ(text.has_value(), found != model.end());
                if (text) {
                    ASSERT_EQ(*text, found->second);
                }
            }
        }
    }
}

}  // namespace
}  // namespace pv::fs
