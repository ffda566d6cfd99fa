// Entries, rights, and the table of what instructions make a processor forget.
// SPDX-License-Identifier: MIT
#include "translation/entry.hpp"

#include <gtest/gtest.h>

#include <memory>

#include "translation/frame_set.hpp"
#include "translation/invalidation.hpp"
#include "translation/obligations.hpp"

namespace pv::translation {
namespace {

constexpr std::uint64_t base = entry_present | entry_writable | entry_user;

TEST(TranslationEntry, PageInsideALargeOne) {
    const Translation page = translation_of(0x4020'0000 | base | entry_large, 2, 0x1234'5678, {});
    EXPECT_TRUE(page.present);
    EXPECT_EQ(page.physical, 0x4020'0000 + (0x1234'5000 & 0x1f'ffff));
    EXPECT_EQ(page.level, 2U);
    EXPECT_FALSE(translation_of(0x4020'0000 | base, 2, 0, {}).present) << "a table is no page";
    EXPECT_TRUE(translation_of(0x4020'0000 | base | entry_large, 1, 0, {}).present)
        << "bit 7 is the PAT's there";
}

TEST(TranslationEntry, OnlyWhatIsTakenAwayNeedsInvalidation) {
    const auto at = [](std::uint64_t entry, Rights upper = {}) { return translation_of(entry, 1, 0, upper); };
    const Translation all = at(0x5000 | base);
    EXPECT_FALSE(gives_more(all, all));
    EXPECT_FALSE(gives_more(at(0), all)) << "not present to present";
    EXPECT_FALSE(gives_more(at(0x5000 | entry_present | entry_no_execute), all)) << "rights given";
    EXPECT_FALSE(gives_more(all, at(0x5000 | base | entry_accessed | entry_dirty)));
    EXPECT_TRUE(gives_more(all, at(0)));
    EXPECT_TRUE(gives_more(all, at(0x6000 | base)));
    EXPECT_TRUE(gives_more(all, at(0x5000 | base | entry_no_execute)));
    EXPECT_TRUE(gives_more(all, at(0x5000 | entry_present | entry_user)));
    EXPECT_TRUE(gives_more(all, at(0x5000 | entry_present | entry_writable)));
    EXPECT_TRUE(gives_more(all, at(0x5000 | base, {.write = false}))) << "taken away above";
}

TEST(TranslationEntry, Canonical) {
    EXPECT_EQ(canonical(0x0000'8000'0000'0000, 4), 0xffff'8000'0000'0000);
    EXPECT_EQ(canonical(0x0000'8000'0000'0000, 5), 0x0000'8000'0000'0000U);
    EXPECT_EQ(canonical(0x0100'0000'0000'0000, 5), 0xff00'0000'0000'0000);
    EXPECT_EQ(index_of(0xffff'ffff'ffff'f000, 5), 511U);
}

TEST(TranslationEntry, EffectsOfInstructions) {
    // A write to CR3 keeps global entries (SDM vol. 3A, 4.10.4.1); what toggles CR4.PGE does not.
    EXPECT_FALSE(effect_of(Operation::cr3).globals);
    EXPECT_TRUE(effect_of(Operation::invlpg).globals);
    EXPECT_TRUE(effect_of(Operation::global_toggle).globals);
    EXPECT_FALSE(effect_of(Operation::invpcid_all_but_global).globals);
    EXPECT_EQ(effect_of(Operation::cr3_no_flush).pages, Spaces::none);
    for (const Effect& effect : effects) {
        EXPECT_FALSE(effect.name.empty());
    }
}

TEST(FrameSet, FirstIn) {
    FrameSet set(std::make_shared<FrameMarks>(1 << 24), mark_table);
    FrameSet other = set.with(mark_owed);
    EXPECT_EQ(set.first_in(0, 1 << 24), FrameSet::none);
    set.insert(0x41000);
    EXPECT_TRUE(set.contains(0x41fff));
    EXPECT_FALSE(set.contains(0x42000));
    EXPECT_EQ(set.first_in(0, 1 << 24), 0x41000U);
    EXPECT_EQ(set.first_in(0x41000, 1), 0x41000U);
    EXPECT_EQ(set.first_in(0x42000, 0x1000000), FrameSet::none);
    EXPECT_EQ(set.first_in(0x40000, 0x1000), FrameSet::none);
    EXPECT_EQ(set.first_in(0, ~std::uint64_t{0}), 0x41000U);
    EXPECT_FALSE(other.contains(0x41000)) << "sets that share bytes have nothing else in common";
    other.insert(0x41000);
    set.erase(0x41000);
    EXPECT_FALSE(set.contains(0x41000));
    EXPECT_TRUE(other.contains(0x41000));
    set.insert(1 << 24);
    EXPECT_FALSE(set.contains(1 << 24)) << "beyond the limit";
}

Obligation owed(std::uint64_t first, std::uint64_t size) {
    Obligation obligation;
    obligation.first = first;
    obligation.last = first + (size - 1);
    obligation.old = {.present = true,
                      .physical = 0x5000,
                      .rights = {},
                      .level = size == page_size ? 1U : 2U,
                      .global = false};
    return obligation;
}

TEST(Obligations, TheFilterNeverHidesAPage) {
    Obligations obligations;
    const Effect& one = effect_of(Operation::invlpg);
    EXPECT_FALSE(obligations.may_cover(0x1000));
    ASSERT_TRUE(obligations.add(owed(0x1000, page_size)));
    EXPECT_TRUE(obligations.may_cover(0x1fff));
    EXPECT_FALSE(obligations.may_cover(0x2000));
    ASSERT_TRUE(obligations.add(owed(0x20'0000, 0x20'0000)));
    EXPECT_TRUE(obligations.may_cover(0x3f'ffff)) << "the last of a large page";
    EXPECT_TRUE(obligations.covers(0x3f'ffff));
    obligations.discharge(one, 0x1000, 0, 0);
    EXPECT_TRUE(obligations.may_cover(0x1000 + PageFilter::bits * page_size * 3))
        << "a large page is owed still";
    ASSERT_TRUE(obligations.add(owed(0x7000, page_size)));
    obligations.discharge(one, 0x20'0000, 0, 0);
    EXPECT_FALSE(obligations.may_cover(0x1000));
    EXPECT_FALSE(obligations.may_cover(0x3f'ffff));
    EXPECT_TRUE(obligations.may_cover(0x7000)) << "came while a large page was owed";
    obligations.discharge(one, 0x7000, 0, 0);
    EXPECT_FALSE(obligations.may_cover(0x7000));
}

}  // namespace
}  // namespace pv::translation
