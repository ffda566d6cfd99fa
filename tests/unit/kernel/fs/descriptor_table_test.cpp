// Descriptor tables: lowest free number, limits, close on exec, copies, and that nothing is left behind.
// SPDX-License-Identifier: MIT
#include "fs/descriptor_table.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <set>
#include <thread>

#include "fs/pipe.hpp"
#include "tree.hpp"

namespace pv::fs {
namespace {

using test::error_of;
using test::Tree;

class DescriptorTableTest : public testing::Test {
  protected:
    Ref<OpenFile> some_file() { return create_pipe(0)->read; }

    Ref<DescriptorTable> table_ = DescriptorTable::create().value();
    Ref<OpenFile> file_ = some_file();
};

TEST_F(DescriptorTableTest, GivesTheLowestFreeNumber) {
    EXPECT_EQ(table_->add(file_, false, 100), 0);
    EXPECT_EQ(table_->add(file_, false, 100), 1);
    EXPECT_EQ(table_->add(file_, false, 100, 10), 10);
    EXPECT_EQ(table_->add(file_, false, 100), 2);
    ASSERT_TRUE(table_->close(1));
    EXPECT_EQ(table_->add(file_, false, 100), 1);
    EXPECT_EQ(table_->add(file_, false, 100), 3);
    EXPECT_EQ(error_of(table_->close(77)), Errno::ebadf);
    EXPECT_EQ(error_of(table_->close(-1)), Errno::ebadf);
    EXPECT_EQ(error_of(table_->get(1'000'000'000)), Errno::ebadf);
    EXPECT_EQ(table_->count(), 5U);
}

TEST_F(DescriptorTableTest, CopiesShareTheFileAndItsPosition) {
    Tree tree;
    ASSERT_TRUE(tree.put("/a", "abcdef"));
    const auto opened = open(tree.caller(), "/a", open_flag::read_only, 0).value();
    ASSERT_EQ(table_->add(opened, true, 100), 0);
    ASSERT_TRUE(table_->set(5, table_->get(0).value(), false, 100));
    EXPECT_EQ(Tree::read(*table_->get(5).value(), 3), "abc");
    EXPECT_EQ(Tree::read(*table_->get(0).value(), 3), "def");
    EXPECT_EQ(table_->closes_on_exec(0), true);
    EXPECT_EQ(table_->closes_on_exec(5), false);
    const auto child = table_->duplicate().value();
    child->close_on_exec();
    EXPECT_EQ(error_of(child->get(0)), Errno::ebadf);
    EXPECT_TRUE(child->get(5));
    EXPECT_TRUE(table_->get(0));
    EXPECT_EQ(error_of(table_->set(100, opened, false, 100)), Errno::ebadf);
    EXPECT_EQ(error_of(table_->add(opened, false, 100, 100)), Errno::einval);
}

TEST_F(DescriptorTableTest, ClosesRanges) {
    for (int i = 0; i < 200; ++i) {
        ASSERT_EQ(table_->add(file_, false, 1000), i);
    }
    table_->mark_range(150, ~0U);
    table_->close_range(10, 99);
    EXPECT_EQ(table_->count(), 110U);
    EXPECT_EQ(table_->next_open(10), 100);
    table_->close_on_exec();
    EXPECT_EQ(table_->count(), 60U);
    EXPECT_EQ(table_->next_open(150), -1);
    table_->close_all();
    EXPECT_EQ(table_->count(), 0U);
    EXPECT_EQ(file_->owners(), 1U);
}

TEST_F(DescriptorTableTest, RandomWorkAgainstAModel) {
    std::mt19937 random(3);
    std::set<int> model;
    constexpr unsigned limit = 300;
    const auto lowest = [&](int from) {
        while (model.contains(from)) {
            ++from;
        }
        return from;
    };
    for (int step = 0; step < 20'000; ++step) {
        const int number = static_cast<int>(random() % limit);
        switch (random() % 4) {
            case 0:
                EXPECT_EQ(table_->close(number).has_value(), model.erase(number) != 0);
                break;
            case 1:
                EXPECT_TRUE(table_->set(number, file_, false, limit));
                model.insert(number);
                break;
            default: {
                const int from = random() % 2 == 0 ? 0 : number;
                const int expected = lowest(from);
                const auto got = table_->add(file_, false, limit, static_cast<unsigned>(from));
                if (expected < static_cast<int>(limit)) {
                    ASSERT_EQ(got, expected);
                    model.insert(expected);
                } else {
                    ASSERT_EQ(error_of(got), Errno::emfile);
                }
            }
        }
        ASSERT_EQ(table_->count(), model.size());
    }
}

TEST_F(DescriptorTableTest, ThreadsShareOneTable) {
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t) {
        threads.emplace_back([&] {
            for (int i = 0; i < 2'000; ++i) {
                const int number = table_->add(file_, false, 100'000).value();
                ASSERT_TRUE(table_->get(number));
                if (i % 3 != 0) {
                    ASSERT_TRUE(table_->close(number));
                }
            }
        });
    }
    for (std::thread& thread : threads) {
        thread.join();
    }
    EXPECT_EQ(file_->owners(), 1U + static_cast<unsigned>(table_->count()));
}

using LedgerDescriptorTable = DescriptorTableTest;

TEST_F(LedgerDescriptorTable, HoldsAHundredThousand) {
    constexpr int many = 100'000;
    for (int i = 0; i < many; ++i) {
        ASSERT_EQ(table_->add(file_, false, many), i);
    }
    EXPECT_EQ(error_of(table_->add(file_, false, many)), Errno::emfile);
    ASSERT_TRUE(table_->close(many / 2));
    EXPECT_EQ(table_->add(file_, false, many), many / 2);
    EXPECT_EQ(file_->owners(), 1U + many);
}

TEST_F(LedgerDescriptorTable, AtTheLimitIsAnErrorAndLaterCallsSucceed) {
    ASSERT_EQ(table_->add(file_, false, 2), 0);
    ASSERT_EQ(table_->add(file_, false, 2), 1);
    EXPECT_EQ(error_of(table_->add(file_, false, 2)), Errno::emfile);
    EXPECT_EQ(file_->owners(), 3U);  // what was refused is not kept
    ASSERT_TRUE(table_->close(0));
    EXPECT_EQ(table_->add(file_, false, 2), 0);
}

TEST_F(LedgerDescriptorTable, AMillionOpensAndClosesLeaveItAsItWas) {
    Tree tree;
    ASSERT_TRUE(tree.put("/a", "x"));
    const Location place = tree.find("/a").value();
    const std::uint32_t owners = place.node->owners();
    for (int i = 0; i < 1'000'000; ++i) {
        const auto number =
            table_->add(open_location(tree.caller(), place, open_flag::read_only).value(), false, 10);
        ASSERT_EQ(number, 0);
        ASSERT_TRUE(table_->close(0));
    }
    EXPECT_EQ(table_->count(), 0U);
    EXPECT_EQ(place.node->owners(), owners);
}

TEST_F(LedgerDescriptorTable, AChildHasNoMoreRoomThanItNeeds) {
    for (int i = 0; i < 10'000; ++i) {
        ASSERT_EQ(table_->add(file_, i % 2 == 0, 20'000), i);
    }
    EXPECT_EQ(table_->duplicate().value()->count(), 10'000U);
    table_->close_range(101, ~0U);
    EXPECT_GE(table_->room(), 10'000U);
    const Ref<DescriptorTable> child = table_->duplicate().value();
    EXPECT_EQ(child->count(), 101U);
    EXPECT_LE(child->room(), 128U);
    EXPECT_TRUE(child->closes_on_exec(100).value());
    // The numbers of both go on alike.
    EXPECT_EQ(child->add(file_, false, 20'000), 101);
    EXPECT_EQ(child->add(file_, false, 20'000, 5'000), 5'000);
    child->close_all();
    EXPECT_EQ(child->duplicate().value()->add(file_, false, 20'000), 0);
}

}  // namespace
}  // namespace pv::fs
