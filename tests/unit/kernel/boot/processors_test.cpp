// Which lists of processors are refused.
// SPDX-License-Identifier: MIT
#include "boot/processors.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace pv::boot {
namespace {

acpi::LocalApic enabled(std::uint32_t id) {
    acpi::LocalApic processor;
    processor.apic_id = id;
    processor.enabled = true;
    return processor;
}

TEST(LedgerProcessors, OrdinaryOnesAreFine) {
    const std::vector listed{enabled(0), enabled(1), enabled(4)};
    EXPECT_EQ(judge_processors(listed, 4, false).flaw, ProcessorFlaw::none);
    EXPECT_EQ(judge_processors({}, 7, false).flaw, ProcessorFlaw::none);
}

TEST(LedgerProcessors, OwnIdMustBeListedAndEnabled) {
    std::vector listed{enabled(0), enabled(1)};
    EXPECT_EQ(judge_processors(listed, 2, true).flaw, ProcessorFlaw::own_not_listed);
    listed[1].enabled = false;
    EXPECT_EQ(judge_processors(listed, 1, true).flaw, ProcessorFlaw::own_not_listed);
    EXPECT_EQ(judge_processors(listed, 1, true).apic_id, 1U);
}

TEST(LedgerProcessors, NoIdTwice) {
    std::vector listed{enabled(0), enabled(3), enabled(1), enabled(3)};
    const ProcessorVerdict verdict = judge_processors(listed, 0, true);
    EXPECT_EQ(verdict.flaw, ProcessorFlaw::listed_twice);
    EXPECT_EQ(verdict.apic_id, 3U);
    // A place where no processor is may say anything.
    listed[3].enabled = false;
    EXPECT_EQ(judge_processors(listed, 0, true).flaw, ProcessorFlaw::none);
}

TEST(LedgerProcessors, IdsFitTheMode) {
    for (const std::uint32_t id : {255U, 256U, 300U, 0xffff'ffffU}) {
        const std::vector listed{enabled(0), enabled(id)};
        EXPECT_EQ(judge_processors(listed, 0, false).flaw, ProcessorFlaw::out_of_reach) << id;
        EXPECT_EQ(judge_processors(listed, 0, true).flaw,
                  id == 0xffff'ffffU ? ProcessorFlaw::out_of_reach : ProcessorFlaw::none)
            << id;
    }
    const std::vector listed{enabled(0), enabled(254)};
    EXPECT_EQ(judge_processors(listed, 0, false).flaw, ProcessorFlaw::none);
}

}  // namespace
}  // namespace pv::boot
