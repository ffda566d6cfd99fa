// The tracker, one mistake at a time, and each corrected.
// SPDX-License-Identifier: MIT
#include "translation/tracker.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "fake_memory.hpp"

namespace pv::translation::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr std::uint64_t flags = entry_present | entry_writable;
constexpr std::uint64_t root = 1, table = 4, spare = 5;  // frames; 2 and 3 lie between root and table
constexpr std::uint64_t page = 0x1000;                   // linear: table[1]
constexpr std::uint64_t old_frame = 20 << 12, new_frame = 21 << 12;

class TrackerTest : public ::testing::Test {
  protected:
    TrackerTest() {
        memory_.at(root, 0) = 2 << 12 | flags | entry_user;
        memory_.at(2, 0) = 3 << 12 | flags | entry_user;
        memory_.at(3, 0) = table << 12 | flags | entry_user;
        memory_.at(table, 1) = old_frame | flags | entry_no_execute;
        for (unsigned cpu = 0; cpu < 2; ++cpu) {
            load(cpu, root);
        }
    }

    Actor by(unsigned cpu, std::uint64_t pc = 0x100) {
        ++now_;
        return {cpu, pc, now_ * 1'000'000, static_cast<std::uint64_t>(now_) * 1'000'000};
    }

    void load(unsigned cpu, std::uint64_t frame, std::uint64_t pc = 0x300) {
        control_[cpu].cr3 = frame << 12;
        tracker_.control(by(cpu, pc), 3, control_[cpu], false);
    }

    void store(unsigned cpu, std::uint64_t frame, unsigned index, std::uint64_t entry) {
        memory_.at(frame, index) = entry;
        if (tracker_.holds_table(frame << 12)) {
            tracker_.store(by(cpu), frame << 12 | index * 8, 8);
        }
    }

    void shoot(unsigned sender, const std::function<void()>& flush, std::uint64_t of_root = 0) {
        tracker_.shootdown_begin(7, of_root, page, page_size);
        flush();
        tracker_.shootdown_end(by(sender), 7, 0);
    }

    void grace() { now_ += 10; }

    FakeMemory memory_;
    Findings findings_;
    std::int64_t now_ = 1;
    Control control_[2] = {{cr0_paging | 1 << 16, 0, cr4_pae | cr4_global_pages, true},
                           {cr0_paging | 1 << 16, 0, cr4_pae | cr4_global_pages, true}};
    Tracker tracker_{memory_,  FakeMemory::limit,
                     2,        findings_,
                     Limits{}, [this](unsigned) { return static_cast<std::uint64_t>(now_) * 1'000'000; }};
};

TEST_F(TrackerTest, UseAfterTheGraceTimeIsFoundAndWhetherItWasSeen) {
    store(0, table, 1, new_frame | flags);
    tracker_.access(by(0), page + 8, false, old_frame + 8);
    EXPECT_THAT(findings_.lines, IsEmpty()) << "too early to tell";
    grace();
    tracker_.access(by(0), page + 8, false, old_frame + 8);
    tracker_.access(by(0), page + 8, false, old_frame + 8);
    tracker_.access(by(1), page + 8, true, new_frame + 8);
    EXPECT_THAT(findings_.lines, ElementsAre("stale-use 0x1008 change 1 cpu 0 used 0x14008 access 6",
                                             "stale-use 0x1008 change 1 cpu 1 used 0x15008 access 5"));
    ASSERT_EQ(findings_.changes.size(), 1U);
    EXPECT_EQ(findings_.changes[0].old_entry, old_frame | flags | entry_no_execute);
}

TEST_F(TrackerTest, AfterInvlpgNothingIsOwed) {
    store(0, table, 1, new_frame | flags);
    tracker_.invlpg(by(0), page + 5);
    grace();
    EXPECT_FALSE(tracker_.may_cover(0, page));
    EXPECT_TRUE(tracker_.may_cover(1, page));
    tracker_.access(by(0), page, false, new_frame);
    EXPECT_THAT(findings_.lines, IsEmpty());
}

TEST_F(TrackerTest, InvlpgBeforeTheStoreIsTooEarly) {
    tracker_.invlpg(by(0), page);
    store(0, table, 1, 0);
    grace();
    tracker_.access(by(0), page, true, old_frame);
    EXPECT_THAT(findings_.lines, ElementsAre("stale-use 0x1000 change 1 cpu 0 used 0x14000 access 7"));
}

TEST_F(TrackerTest, AWriteAfterThePageBecameReadOnly) {
    store(0, table, 1, old_frame | entry_present);
    grace();
    tracker_.access(by(0), page, false, old_frame);
    EXPECT_THAT(findings_.lines, IsEmpty()) << "reading is still allowed";
    tracker_.access(by(0), page, true, old_frame);
    EXPECT_THAT(findings_.lines, ElementsAre("stale-use 0x1000 change 1 cpu 0 used 0x14000 access 7"));
}

TEST_F(TrackerTest, NothingIsOwedForWhatIsGiven) {
    store(0, table, 2, old_frame | entry_present);
    store(0, table, 2, old_frame | flags);                                 // rights
    store(0, table, 2, old_frame | flags | entry_accessed | entry_dirty);  // as a walker does
    store(0, table, 3, new_frame | flags);                                 // a page where none was
    EXPECT_EQ(tracker_.totals().changes, 0U);
    EXPECT_EQ(tracker_.totals().entries, 3U);
}

TEST_F(TrackerTest, ShootdownThatMissesOneProcessor) {
    store(0, table, 1, 0);
    shoot(0, [&] { tracker_.invlpg(by(0), page); });
    EXPECT_THAT(findings_.lines, ElementsAre("missed 0x1000 change 1 holder 1 shootdown 7"));
}

TEST_F(TrackerTest, ShootdownOfAll) {
    store(0, table, 1, 0);
    shoot(0, [&] {
        tracker_.invlpg(by(0), page);
        load(1, root);
    });
    EXPECT_THAT(findings_.lines, IsEmpty());
    EXPECT_EQ(tracker_.totals().shootdowns, 1U);
}

TEST_F(TrackerTest, AnotherAddressSpacesShootdownIsNotJudged) {
    store(0, table, 1, 0);
    shoot(0, [] {}, spare << 12);
    EXPECT_THAT(findings_.lines, IsEmpty());
    shoot(0, [] {}, root << 12);
    EXPECT_EQ(findings_.lines.size(), 2U);
}

TEST_F(TrackerTest, AChangeDuringTheShootdownIsTheNextOnes) {
    shoot(0, [&] { store(0, table, 1, 0); });
    EXPECT_THAT(findings_.lines, IsEmpty());
}

TEST_F(TrackerTest, AFailedShootdownPromisesNothing) {
    store(0, table, 1, 0);
    tracker_.shootdown_begin(7, 0, page, page_size);
    tracker_.shootdown_end(by(0), 7, 1);
    EXPECT_THAT(findings_.lines, IsEmpty());
}

TEST_F(TrackerTest, ReloadOfCr3KeepsGlobalEntries) {
    store(0, table, 1, old_frame | flags | entry_global);
    store(0, table, 1, 0);
    shoot(0, [&] {
        tracker_.invlpg(by(0), page);
        load(1, root, 0x777);
    });
    EXPECT_THAT(findings_.lines, ElementsAre("global-kept 0x1000 change 1 cpu 1 pc 0x777"));
}

TEST_F(TrackerTest, ToggleOfPgeReachesGlobalEntries) {
    store(0, table, 1, old_frame | flags | entry_global);
    store(0, table, 1, 0);
    shoot(0, [&] {
        for (unsigned cpu = 0; cpu < 2; ++cpu) {
            for (int i = 0; i < 2; ++i) {
                control_[cpu].cr4 ^= cr4_global_pages;
                tracker_.control(by(cpu), 4, control_[cpu], false);
            }
        }
    });
    EXPECT_THAT(findings_.lines, IsEmpty());
    EXPECT_EQ(tracker_.flushes(0).whole, 1U);
    EXPECT_EQ(tracker_.flushes(0).needless, 1U) << "one page would have done";
}

TEST_F(TrackerTest, FrameGivenBackWhileCached) {
    store(0, table, 1, 0);
    tracker_.invlpg(by(0), page);
    tracker_.release(by(0), new_frame, page_size);
    EXPECT_THAT(findings_.lines, IsEmpty()) << "another frame";
    tracker_.release(by(0), old_frame, page_size);
    EXPECT_THAT(findings_.lines, ElementsAre("freed 0x1000 change 1 holder 1 0x14000"));
}

TEST_F(TrackerTest, TableGivenBackWhileWalked) {
    store(0, table, 1, 0);
    tracker_.invlpg(by(0), page);
    tracker_.invlpg(by(1), page);
    store(0, 3, 0, 0);
    tracker_.invlpg(by(0), 0x9000);  // any address: it ends what leads to tables
    tracker_.unprotect(by(0), table << 12, page_size);
    EXPECT_THAT(findings_.lines, ElementsAre("freed 0x0 change 2 holder 1 0x4000 table"));
}

TEST_F(TrackerTest, ARestoredEntryIsNoLongerOwed) {
    store(0, table, 1, 0);
    store(0, table, 1, old_frame | flags | entry_no_execute);
    shoot(0, [] {});
    tracker_.release(by(0), old_frame, page_size);
    EXPECT_THAT(findings_.lines, IsEmpty());
}

TEST_F(TrackerTest, ATableNobodyUsesMayBecomeAnything) {
    load(0, spare);
    load(1, spare);
    store(0, table, 1, 0x1234'5678'9abc'def1);
    EXPECT_FALSE(tracker_.holds_table(table << 12));
    memory_.at(table, 1) = new_frame | flags;
    load(0, root);
    EXPECT_TRUE(tracker_.holds_table(table << 12)) << "read again when it is used again";
    store(0, table, 1, 0);
    tracker_.release(by(0), new_frame, page_size);
    EXPECT_EQ(findings_.lines.size(), 1U);
}

TEST_F(TrackerTest, WritableAndExecutableOnlyOnceArmed) {
    store(0, table, 2, new_frame | flags);
    EXPECT_THAT(findings_.lines, IsEmpty());
    tracker_.arm(by(0), false);
    EXPECT_THAT(findings_.lines, ElementsAre("fault 1 at 0x2000 level 1 other 0x0"));
    store(0, table, 3, new_frame | flags);
    store(0, table, 4, new_frame | entry_present);
    store(0, table, 5, new_frame | flags | entry_user);
    EXPECT_EQ(findings_.lines.size(), 2U)
        << "a program's page is its own affair unless the guest says otherwise";
    tracker_.arm(by(0), true);
    EXPECT_EQ(findings_.lines.size(), 3U);
}

TEST_F(TrackerTest, ArmedWithTheNextTables) {
    store(0, table, 2, new_frame | flags);
    memory_.at(spare, 0) = memory_.at(root, 0);
    tracker_.arm_with_next_tables();
    load(0, root);
    EXPECT_THAT(findings_.lines, IsEmpty()) << "the same tables";
    load(0, spare);
    EXPECT_THAT(findings_.lines, ElementsAre("fault 1 at 0x2000 level 1 other 0x0"));
}

TEST_F(TrackerTest, WritableAliasOfCode) {
    tracker_.protect(new_frame, page_size, PV_PROTECT_CODE);
    tracker_.arm(by(0), true);
    store(0, table, 2, new_frame | entry_present);
    EXPECT_THAT(findings_.lines, IsEmpty());
    store(0, table, 3, new_frame | flags | entry_no_execute);
    EXPECT_THAT(findings_.lines, ElementsAre("fault 2 at 0x3000 level 1 other 0x15000"));
}

TEST_F(TrackerTest, UserPageOverATable) {
    store(0, table, 2, table << 12 | flags | entry_no_execute);
    EXPECT_THAT(findings_.lines, IsEmpty()) << "the kernel's own window";
    store(0, table, 3, table << 12 | flags | entry_user | entry_no_execute);
    EXPECT_THAT(findings_.lines, ElementsAre("fault 3 at 0x3000 level 1 other 0x4000"));
}

TEST_F(TrackerTest, ReservedBits) {
    store(0, 3, 1, 0x20'3000 | flags | entry_large | entry_no_execute);
    EXPECT_THAT(findings_.lines, ElementsAre("fault 4 at 0x200000 level 2 other 0x2000"));
    store(0, root, 1, 2 << 12 | flags | entry_large);
    EXPECT_EQ(findings_.lines.back(), "fault 4 at 0x8000000000 level 4 other 0x80");
}

TEST_F(TrackerTest, OneTableAtTwoLevels) {
    store(0, 2, 1, table << 12 | flags);
    EXPECT_THAT(findings_.lines, ElementsAre("fault 5 at 0x40000000 level 3 other 0x1"));
}

TEST_F(TrackerTest, RecursiveMappingEndsAndIsNoFault) {
    store(0, root, 511, root << 12 | flags | entry_no_execute);
    EXPECT_THAT(findings_.lines, IsEmpty());
    EXPECT_EQ(tracker_.table_count(), 4U);
    store(0, table, 1, 0);
    EXPECT_EQ(tracker_.totals().changes, 1U);
}

TEST_F(TrackerTest, SplitOfALargePageWithTheSameFrames) {
    store(0, 3, 1, 0x20'0000 | flags | entry_large);
    for (unsigned i = 0; i < entries_count; ++i) {
        memory_.at(spare, i) = (0x20'0000 + i * page_size) | flags;
    }
    store(0, 3, 1, spare << 12 | flags);
    EXPECT_EQ(tracker_.totals().changes, 0U);
    store(0, spare, 3, 0x20'3000 | entry_present);
    EXPECT_EQ(tracker_.totals().changes, 1U);
    EXPECT_TRUE(tracker_.may_cover(1, 0x20'3000));
}

TEST_F(TrackerTest, RightsTakenAwayAboveConcernEveryPageBelow) {
    store(0, table, 2, new_frame | flags);
    store(0, 3, 0, table << 12 | entry_present);
    EXPECT_EQ(tracker_.totals().changes, 1U);
    EXPECT_EQ(tracker_.totals().taken, 2U * 3U) << "two pages and the way to them, on two processors";
}

TEST_F(TrackerTest, NoMemoryIsTakenWithoutEnd) {
    for (std::uint64_t i = 0; i < 100'000; ++i) {
        tracker_.shootdown_begin(i, 0, 0, page_size);
        store(0, table, static_cast<unsigned>(i % 512), (i << 12 & 0xffff'f000) | flags);
    }
    EXPECT_GT(tracker_.totals().skipped, 0U);
    tracker_.release(by(0), 0, ~std::uint64_t{0});
    EXPECT_LE(findings_.lines.size(), 256U);
}

TEST_F(TrackerTest, ResetForgets) {
    store(0, table, 1, 0);
    Control off = control_[1];
    off.cr0 = 0;
    off.long_mode = false;
    tracker_.control(by(1), 0, off, false);
    tracker_.release(by(0), old_frame, page_size);
    EXPECT_THAT(findings_.lines, ElementsAre("freed 0x1000 change 1 holder 0 0x14000"));
}

// A kernel whose profile tells what it does. Processor 1 is left alone: it runs no program.

constexpr std::uint64_t own = 0x2000;  // linear: table[2], a program's page
constexpr std::uint64_t user_flags = flags | entry_user;

class PromiseTest : public TrackerTest {
  protected:
    PromiseTest() {
        store(0, table, 2, old_frame | user_flags);
        store(0, table, 2, 0);
        tracker_.invlpg(by(0), own);
    }

    /// No time passes: nothing here is about the grace time.
    Actor soon(unsigned cpu, std::uint64_t pc = 0x100) {
        return {cpu, pc, now_ * 1'000'000, static_cast<std::uint64_t>(now_) * 1'000'000};
    }

    void release(std::uint64_t frame, std::uint64_t length = page_size) {
        EXPECT_TRUE(tracker_.may_be_owed(frame, length));
        tracker_.promise_release(soon(0, 0x500), frame, length);
    }
};

TEST_F(PromiseTest, AFrameGivenBackIsHeldAgainstWhoRunsAProgramWithIt) {
    EXPECT_FALSE(tracker_.may_be_owed(new_frame, page_size)) << "another frame";
    release(old_frame);
    EXPECT_THAT(findings_.lines, IsEmpty()) << "whoever runs no program may still have it";
    EXPECT_FALSE(tracker_.owes_programs(0));
    EXPECT_TRUE(tracker_.owes_programs(1));
    tracker_.run_program(soon(0, 0x40'0000));
    EXPECT_THAT(findings_.lines, IsEmpty());
    tracker_.run_program(soon(1, 0x40'0000));
    tracker_.run_program(soon(1, 0x40'0000));
    EXPECT_THAT(findings_.lines, ElementsAre("freed 0x2000 change 1 holder 1 0x14000 at 0x400000"));
    EXPECT_EQ(tracker_.totals().frames, 1U);
}

TEST_F(PromiseTest, WhoForgetsBeforeItRunsAProgramIsRight) {
    release(old_frame);
    load(1, root);
    tracker_.run_program(soon(1));
    tracker_.access(soon(1), own, false, old_frame);
    EXPECT_THAT(findings_.lines, IsEmpty());
    EXPECT_FALSE(tracker_.owes_programs(1));
}

TEST_F(PromiseTest, WhatIsGivenAgainIsNoLongerHeldAgainstAnybody) {
    release(old_frame);
    memory_.at(table, 2) = old_frame | user_flags;
    tracker_.run_program(soon(1));
    EXPECT_THAT(findings_.lines, IsEmpty());
}

TEST_F(PromiseTest, WithoutAPromiseAProgramMayRun) {
    tracker_.run_program(soon(1));
    EXPECT_THAT(findings_.lines, IsEmpty()) << "the shootdown is still to come";
    EXPECT_EQ(tracker_.totals().held, 1U);
}

TEST_F(PromiseTest, AnAccessNeedsNoGraceTime) {
    release(old_frame);
    tracker_.access(soon(1, 0x600), own + 8, false, new_frame);
    EXPECT_THAT(findings_.lines, ElementsAre("freed 0x2008 change 1 holder 1 0x14000 at 0x600"));
}

TEST_F(PromiseTest, AKernelsPageCountsWhereItsUseIsObserved) {
    store(0, table, 1, new_frame | flags);
    release(old_frame);
    tracker_.run_program(soon(1));
    EXPECT_EQ(findings_.lines.size(), 1U) << "the program's page alone";
    tracker_.access(soon(1), page, false, new_frame);
    EXPECT_EQ(findings_.lines.size(), 1U) << "the processor may have come after the old page";
    tracker_.access(soon(1, 0x600), page, false, old_frame);
    EXPECT_EQ(findings_.lines.back(), "freed 0x1000 change 2 holder 1 0x14000 at 0x600");
}

TEST_F(PromiseTest, AReleaseConcernsWhatWasTakenAwayBefore) {
    tracker_.invlpg(by(1), own);
    store(0, table, 9, new_frame | user_flags);
    store(0, table, 9, 0);  // it owes something, so that the release is remembered
    release(old_frame);
    EXPECT_FALSE(tracker_.may_be_owed(old_frame, page_size));
    store(0, table, 2, old_frame | user_flags);  // given out again, and taken away anew
    store(0, table, 2, 0);
    tracker_.run_program(soon(1));
    EXPECT_THAT(findings_.lines, IsEmpty());
    release(old_frame);
    tracker_.run_program(soon(1));
    EXPECT_EQ(findings_.lines.size(), 1U);
}

TEST_F(PromiseTest, LargePagesAndTablesAreLookedThrough) {
    tracker_.invlpg(by(1), own);
    store(0, 3, 1, 0x20'0000 | user_flags | entry_large);
    EXPECT_FALSE(tracker_.may_be_owed(0x20'0000, 0x20'0000)) << "beyond the memory that there is";
    store(0, 3, 1, 0);
    store(0, 3, 0, 0);
    release(table << 12, 2 * page_size);
    tracker_.run_program(soon(1, 0x700));
    EXPECT_THAT(findings_.lines, ElementsAre("freed 0x0 change 3 holder 1 0x4000 table at 0x700"));
}

TEST_F(PromiseTest, AShootdownIsHeldAgainstWhoRunsAProgramAfterIt) {
    const std::uint64_t begun = tracker_.changes();
    store(0, table, 3, new_frame | user_flags);
    store(0, table, 3, 0);  // since it began: the next one's
    tracker_.promise_shootdown(soon(0), begun, spare << 12, own, 2 * page_size);
    tracker_.promise_shootdown(soon(0), begun, root << 12, own + page_size, page_size);
    tracker_.run_program(soon(1));
    EXPECT_THAT(findings_.lines, IsEmpty()) << "other tables; another page";
    tracker_.promise_shootdown(soon(0), begun, root << 12, own, 2 * page_size);
    tracker_.run_program(soon(1, 0x700));
    EXPECT_THAT(findings_.lines, ElementsAre("missed 0x2000 change 1 holder 1 shootdown 0 at 0x700"));
    EXPECT_EQ(tracker_.totals().promised, 3U);
}

TEST_F(PromiseTest, TheKernelsShootdownsConcernAllTablesAndWhoRunsAlready) {
    tracker_.run_program(soon(1));
    store(0, table, 1, new_frame | flags);
    const std::uint64_t begun = tracker_.changes();
    tracker_.promise_kernel_shootdown(soon(0), begun, page + page_size, page_size);
    tracker_.access(soon(1), page, false, old_frame);
    EXPECT_THAT(findings_.lines, IsEmpty()) << "another page";
    tracker_.promise_kernel_shootdown(soon(0), begun, page, page_size);
    tracker_.access(soon(0), page, false, old_frame);
    EXPECT_THAT(findings_.lines, IsEmpty()) << "a processor that has run no program may just come up";
    tracker_.access(soon(1), page, false, new_frame);
    EXPECT_THAT(findings_.lines, IsEmpty()) << "QEMU looked anew";
    tracker_.access(soon(1, 0x600), page, false, old_frame);
    EXPECT_THAT(findings_.lines, ElementsAre("missed 0x1000 change 2 holder 1 shootdown 0 at 0x600"));
}

TEST(PromisesTest, FramesThatSomebodyReachesStayWhenThereIsNoRoom) {
    constexpr Promise promise{Promise::Kind::released, 0, 0x500, 5};
    Promises promises;
    for (std::uint64_t i = 0; i < Promises::most_frames; ++i) {
        EXPECT_TRUE(promises.release(i << 12, promise));
    }
    EXPECT_FALSE(promises.release(Promises::most_frames << 12, promise));
    EXPECT_TRUE(promises.release(0, promise)) << "one that is there already";
    ASSERT_TRUE(promises.may_make_room());
    promises.forget_frames_but({{0x3000, 0x4fff}, {0x8000, 0x8fff}, {0x2000, 0x3fff}});
    EXPECT_FALSE(promises.may_make_room()) << "not for every frame";
    std::vector<std::uint64_t> kept;
    for (std::uint64_t frame = 0; frame <= Promises::most_frames << 12; frame += page_size) {
        Obligation obligation;
        obligation.last = page_size - 1;
        obligation.old.physical = frame;
        obligation.change.number = 5;
        if (promises.find(obligation, 0, 0) != nullptr) {
            kept.push_back(frame);
        }
    }
    EXPECT_THAT(kept, ElementsAre(0x2000, 0x3000, 0x4000, 0x8000));
    EXPECT_TRUE(promises.release(Promises::most_frames << 12, promise));
}

TEST_F(PromiseTest, OfAShootdownAndTheReleaseAfterItTheFirstIsNamed) {
    tracker_.promise_shootdown(soon(0), tracker_.changes(), root << 12, own, page_size);
    release(old_frame);
    tracker_.run_program(soon(1, 0x700));
    EXPECT_THAT(findings_.lines, ElementsAre("missed 0x2000 change 1 holder 1 shootdown 0 at 0x700"));
}

TEST_F(PromiseTest, AllOfASpaceMayBeMeant) {
    tracker_.promise_shootdown(soon(0), tracker_.changes(), root << 12, 0, ~std::uint64_t{0});
    tracker_.run_program(soon(1));
    EXPECT_EQ(findings_.lines.size(), 1U);
}

TEST(PromisesTest, TheOldestShootdownGoes) {
    constexpr Promise old{.changes = 5};
    Promises promises;
    Obligation owed{.first = own, .last = own + page_size - 1, .root = root << 12};
    owed.change.number = 5;
    promises.shootdown(old, {root << 12, own, page_size});
    EXPECT_NE(promises.find(owed, own, 0), nullptr);
    for (std::size_t i = 0; i < Promises::most_shootdowns; ++i) {
        promises.shootdown(old, {root << 12, 0, page_size});
    }
    EXPECT_EQ(promises.find(owed, own, 0), nullptr);
}

}  // namespace
}  // namespace pv::translation::testing
