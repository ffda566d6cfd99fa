// Ids of commands in flight: generations, unknown and stale ids, the whole range of ids.
// SPDX-License-Identifier: MIT
#include "block/slot_table.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <memory>
#include <set>

namespace pv::block {
namespace {

struct Payload {
    int value = 0;
};

using Table = SlotTable<Payload, 128>;

TEST(SlotTable, FindsOnlyWhatIsOutstanding) {
    Table table{Generations::on_wire, 63};
    const auto id = table.acquire();
    ASSERT_TRUE(id);
    table.find(*id)->value = 7;
    EXPECT_EQ(table.find(id->wire)->value, 7);
    for (std::uint32_t wire = 0; wire < 65536; ++wire) {
        EXPECT_EQ(table.find(static_cast<std::uint16_t>(wire)) != nullptr, wire == id->wire) << wire;
    }
    EXPECT_TRUE(table.release(*id));
    EXPECT_EQ(table.find(id->wire), nullptr);
    EXPECT_FALSE(table.release(*id));
}

TEST(SlotTable, HoldsItsLimitAndNoMore) {
    Table table{Generations::host_only, 5};
    std::set<std::uint16_t> wires;
    for (int i = 0; i < 5; ++i) {
        wires.insert(table.acquire()->wire);
    }
    EXPECT_EQ(wires, (std::set<std::uint16_t>{0, 1, 2, 3, 4}));
    EXPECT_FALSE(table.acquire());
    EXPECT_EQ(table.outstanding(), 5U);
}

// A completion of an earlier user of the slot is told from the present one by the id itself.
TEST(SlotTable, StaleIdOnTheWireIsRefused) {
    Table table{Generations::on_wire, 1};
    const CommandId first = *table.acquire();
    table.release(first);
    const CommandId second = *table.acquire();
    EXPECT_EQ(Table::slot_of(first), Table::slot_of(second));
    EXPECT_NE(first.wire, second.wire);
    EXPECT_EQ(table.find(first.wire), nullptr);
    EXPECT_EQ(table.find(first), nullptr);
    EXPECT_NE(table.find(second.wire), nullptr);
}

TEST(SlotTable, HostOnlyGenerationTellsUsersOfOneSlotApart) {
    Table table{Generations::host_only, 1};
    const CommandId first = *table.acquire();
    table.release(first);
    const CommandId second = *table.acquire();
    EXPECT_EQ(first.wire, second.wire);
    EXPECT_EQ(table.find(first), nullptr);
    EXPECT_FALSE(table.release(first));
    EXPECT_NE(table.find(second), nullptr);
    EXPECT_NE(first.marker(), second.marker());
}

// LEDGER C15b: far more commands than there are ids, always found again, the reserved id never used.
TEST(SlotTable, MillionCommandsWrapAllIds) {
    const auto table = std::make_unique<Table>(Generations::on_wire, 63);
    std::set<std::uint16_t> seen;
    CommandId held = *table->acquire();
    for (int i = 0; i < 1'000'000; ++i) {
        const auto id = table->acquire();
        ASSERT_TRUE(id);
        ASSERT_NE(id->wire, 0xffff);
        ASSERT_NE(id->wire, held.wire);
        ASSERT_NE(table->find(id->wire), nullptr);
        seen.insert(id->wire);
        if (i % 3 == 0) {
            ASSERT_TRUE(table->release(held));
            held = *id;
        } else {
            ASSERT_TRUE(table->release(*id));
        }
    }
    EXPECT_EQ(table->outstanding(), 1U);
    EXPECT_GT(seen.size(), 32000U);  // 63 of each 128 ids can occur
}

TEST(SlotTable, ReservedIdIsSkipped) {
    SlotTable<Payload, 2> table{Generations::on_wire, 2};
    for (int i = 0; i < 200'000; ++i) {
        const auto id = table.acquire();
        ASSERT_NE(id->wire, 0xffff);
        table.release(*id);
    }
}

}  // namespace
}  // namespace pv::block
