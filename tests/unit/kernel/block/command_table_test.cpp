// Life of a command: delivered, late, unknown, duplicate, failed; and where its memory is meanwhile (LEDGER
// C21).
// SPDX-License-Identifier: MIT
#include "block/command_table.hpp"

#include <gtest/gtest.h>

#include <memory>

namespace pv::block {
namespace {

constexpr marker::Device device{0x80};

class CommandTableTest : public testing::Test {
  protected:
    CommandId begin(CommandTable& table) {
        pages_ = *dma::Pages::allocate(4096);
        Command command;
        command.data = *dma::Mapping::map(device, pages_, 0, 4096, dma::Direction::from_device);
        return *table.begin(std::move(command));
    }

    std::unique_ptr<CommandTable> table_ = std::make_unique<CommandTable>(Generations::on_wire, 8);
    dma::Pages pages_;
    dma::Statistics before_ = dma::statistics();
};

TEST_F(CommandTableTest, DeliveredOnceThenUnknown) {
    const CommandId id = begin(*table_);
    EXPECT_FALSE(table_->finished(id));
    EXPECT_FALSE(table_->take(id));
    EXPECT_EQ(table_->complete(id.wire, 5, 99), Arrival::delivered);
    EXPECT_EQ(table_->complete(id.wire, 0, 0), Arrival::refused);  // twice
    const auto outcome = table_->take(id);
    ASSERT_TRUE(outcome && *outcome);
    EXPECT_EQ((*outcome)->status, 5);
    EXPECT_EQ((*outcome)->result, 99U);
    EXPECT_EQ(dma::statistics().live, before_.live);
    EXPECT_EQ(table_->complete(id.wire, 0, 0), Arrival::refused);  // of what is over
    EXPECT_EQ(table_->complete(0x7777, 0, 0), Arrival::refused);   // of what never was
    EXPECT_EQ(table_->counts().refused, 3U);
    EXPECT_EQ(table_->owed(), 0U);
}

TEST_F(CommandTableTest, MemoryStaysInQuarantineUntilTheLateAnswer) {
    const CommandId id = begin(*table_);
    EXPECT_TRUE(table_->expire(id));
    EXPECT_EQ(table_->overdue(), 1U);
    EXPECT_TRUE(table_->abandon(id));
    EXPECT_TRUE(pages_.quarantined());
    EXPECT_FALSE(dma::Mapping::map(device, pages_, 0, 512, dma::Direction::to_device));
    EXPECT_EQ(table_->owed(), 1U);
    EXPECT_EQ(table_->outstanding(), 1U);  // the slot is not given to anybody else
    EXPECT_FALSE(table_->take(id));
    EXPECT_EQ(table_->complete(id.wire, 0, 0), Arrival::late);
    EXPECT_FALSE(pages_.quarantined());
    EXPECT_EQ(table_->outstanding(), 0U);
    EXPECT_EQ(table_->owed(), 0U);
    EXPECT_EQ(dma::statistics().live, before_.live);
}

TEST_F(CommandTableTest, AnswerBeforeTheCallerGivesUpWins) {
    const CommandId id = begin(*table_);
    EXPECT_EQ(table_->complete(id.wire, 0, 0), Arrival::delivered);
    EXPECT_FALSE(table_->expire(id));
    EXPECT_TRUE(table_->take(id));
}

TEST_F(CommandTableTest, ResetEndsEverythingAndFreesTheMemory) {
    const CommandId waiting = begin(*table_);
    const CommandId gone = begin(*table_);
    const CommandId answered = begin(*table_);
    ASSERT_TRUE(table_->expire(gone));
    ASSERT_TRUE(table_->abandon(gone));
    ASSERT_EQ(table_->complete(answered.wire, 0, 0), Arrival::delivered);
    int failed = 0;
    table_->fail_all(Error::cancelled, [&](CommandId, const Command&) { ++failed; });
    EXPECT_EQ(failed, 2);
    EXPECT_EQ(table_->owed(), 0U);
    const auto outcome = table_->take(waiting);
    ASSERT_TRUE(outcome);
    EXPECT_EQ(outcome->error(), Error::cancelled);
    EXPECT_TRUE(*table_->take(answered)) << "what was answered before keeps its answer";
    EXPECT_EQ(table_->outstanding(), 0U);
    EXPECT_EQ(dma::statistics().quarantined, before_.quarantined);
    EXPECT_EQ(dma::statistics().live, before_.live);
}

TEST_F(CommandTableTest, WhatNobodyTakesIsDroppedAtTheEnd) {
    const CommandId id = begin(*table_);
    ASSERT_EQ(table_->complete(id.wire, 0, 0), Arrival::delivered);
    table_->fail_all(Error::cancelled, [](CommandId, const Command&) {});
    EXPECT_EQ(table_->outstanding(), 1U);
    table_->drop_ended();
    EXPECT_EQ(table_->outstanding(), 0U);
    EXPECT_EQ(dma::statistics().live, before_.live);
}

TEST_F(CommandTableTest, OverdueIsStillDelivered) {
    const CommandId id = begin(*table_);
    ASSERT_TRUE(table_->expire(id));
    EXPECT_EQ(table_->complete(id.wire, 7, 0), Arrival::delivered);
    EXPECT_EQ(table_->overdue(), 0U);
    EXPECT_FALSE(table_->abandon(id));
    EXPECT_EQ((*table_->take(id))->status, 7);
    EXPECT_FALSE(pages_.quarantined());
    EXPECT_EQ(table_->counts().late, 1U);
}

TEST_F(CommandTableTest, FullTableSaysSo) {
    for (int i = 0; i < 8; ++i) {
        begin(*table_);
    }
    EXPECT_FALSE(table_->begin(Command{}));
    table_->fail_all(Error::cancelled, [](CommandId, const Command&) {});
}

}  // namespace
}  // namespace pv::block
