// Second-level tables, addresses, fault records, interrupt messages: what VT-d's specification says of them.
// SPDX-License-Identifier: MIT
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <map>

#include "device/iommu/domain.hpp"
#include "device/iommu/fault.hpp"
#include "device/iommu/page_table.hpp"
#include "device/iommu/regs.hpp"
#include "device/iommu/spec.hpp"
#include "device/iommu/table_frames.hpp"
#include "hosted/control.hpp"

namespace pv::iommu {
namespace {

using marker::Direction;

constexpr std::uint64_t base = std::uint64_t{1} << 32;

TEST(IommuPageTable, MapsPagesWithTheirPermissions) {
    PageTable table = *PageTable::create(3, false);
    EXPECT_EQ(table.address_bits(), 39U);
    ASSERT_TRUE(table.map(base, PhysicalAddress{0x5000}, 2, Direction::to_device));
    ASSERT_TRUE(table.map(base + 2 * page_size, PhysicalAddress{0x9000}, 1, Direction::from_device));
    ASSERT_TRUE(table.map(base + 3 * page_size, PhysicalAddress{0xa000}, 1, Direction::bidirectional));
    EXPECT_EQ(table.entry(base), 0x5001U);
    EXPECT_EQ(table.entry(base + page_size), 0x6001U);
    EXPECT_EQ(table.entry(base + 2 * page_size), 0x9002U);
    EXPECT_EQ(table.entry(base + 3 * page_size), 0xa003U);
    EXPECT_EQ(table.entry(base + 4 * page_size), 0U);
    EXPECT_EQ(table.entry(base - page_size), 0U);
}

TEST(IommuPageTable, CrossesTablesAndForgets) {
    for (const unsigned levels : {3U, 4U, 5U}) {
        PageTable table = *PageTable::create(levels, true);
        const std::uint64_t start = base + 511 * page_size;  // the last entry of a table
        ASSERT_TRUE(table.map(start, PhysicalAddress{0x10000}, 1000, Direction::bidirectional));
        for (std::size_t i = 0; i < 1000; ++i) {
            ASSERT_EQ(table.entry(start + i * page_size), 0x10003 + i * page_size);
        }
        table.unmap(start, 1000);
        for (std::size_t i = 0; i < 1000; ++i) {
            ASSERT_EQ(table.entry(start + i * page_size), 0U);
        }
    }
}

TEST(IommuPageTable, SaysThatNoDeviceMayWriteItAsLongAsItLives) {
    (void)hosted::take_markers();
    std::map<std::uint64_t, std::uint64_t> live;
    std::size_t most = 0;
    {
        PageTable table = *PageTable::create(3, false);
        const TableFrames root = *TableFrames::allocate(2 * page_size);
        ASSERT_TRUE(table.map(base, PhysicalAddress{0x5000}, 1, Direction::to_device));
    }
    for (const auto& mark : hosted::take_markers()) {
        if (mark.number == PV_MARKER_memory_protect) {
            EXPECT_EQ(mark.args[2], static_cast<std::uint64_t>(PV_PROTECT_TABLE));
            EXPECT_TRUE(live.emplace(mark.args[0], mark.args[1]).second);
            most = std::max(most, live.size());
        } else if (mark.number == PV_MARKER_memory_unprotect) {
            EXPECT_EQ(live.at(mark.args[0]), mark.args[1]);
            live.erase(mark.args[0]);
        }
    }
    EXPECT_EQ(most, 4U) << "one of each level, and the other one";
    EXPECT_TRUE(live.empty());
}

TEST(IommuPageTable, RefusesWhatIsMappedOrBeyond) {
    PageTable table = *PageTable::create(3, false);
    ASSERT_TRUE(table.map(base + 3 * page_size, PhysicalAddress{0x1000}, 1, Direction::to_device));
    EXPECT_EQ(table.map(base, PhysicalAddress{0x8000}, 4, Direction::to_device).error(), Error::busy);
    EXPECT_EQ(table.entry(base), 0U) << "nothing of it stays";
    EXPECT_EQ(table.entry(base + 3 * page_size), 0x1001U) << "what was there stays";
    const std::uint64_t limit = std::uint64_t{1} << 39;
    EXPECT_EQ(table.map(limit - page_size, PhysicalAddress{0}, 2, Direction::to_device).error(),
              Error::out_of_range);
    EXPECT_EQ(table.map(limit, PhysicalAddress{0}, 1, Direction::to_device).error(), Error::out_of_range);
    EXPECT_EQ(table.map(base + 1, PhysicalAddress{0}, 1, Direction::to_device).error(), Error::out_of_range);
    EXPECT_TRUE(table.map(limit - page_size, PhysicalAddress{0x2000}, 1, Direction::to_device));
}

TEST(IommuPageTable, LeavesNothingBehindWithoutMemory) {
    for (std::uint64_t nth = 1; nth <= 3; ++nth) {
        hosted::fail_frames_from(0);
        PageTable table = *PageTable::create(3, false);
        hosted::fail_frames_from(nth);
        const Result<> mapped =
            table.map(base + 500 * page_size, PhysicalAddress{0x1000}, 30, Direction::to_device);
        hosted::fail_frames_from(0);
        ASSERT_FALSE(mapped);
        EXPECT_EQ(mapped.error(), Error::out_of_memory);
        for (std::size_t i = 0; i < 30; ++i) {
            EXPECT_EQ(table.entry(base + (500 + i) * page_size), 0U);
        }
    }
}

TEST(IommuAddresses, LeaveOutInterruptsAndTheFirstPage) {
    const auto wide = usable_addresses(base, std::uint64_t{1} << 39);
    EXPECT_EQ(wide.begin, base);
    EXPECT_EQ(wide.end, std::uint64_t{1} << 39);
    const auto narrow = usable_addresses(0, base);
    EXPECT_EQ(narrow.begin, page_size);
    EXPECT_EQ(narrow.end, 0xfee0'0000U);
    const auto straddling = usable_addresses(0xfe00'0000, base);
    EXPECT_EQ(straddling.begin, 0xfef0'0000U);
    EXPECT_EQ(straddling.end, base);
}

TEST(IommuFaults, AreDecoded) {
    const FaultRecord write{0x1'0000'2abc, FaultRecord::present | 0x05ULL << 32 | 0x0088};
    EXPECT_TRUE(write.valid());
    EXPECT_TRUE(write.is_write());
    EXPECT_EQ(write.source(), 0x88);
    EXPECT_EQ(write.reason(), 5);
    EXPECT_EQ(write.address(), 0x1'0000'2000U);
    EXPECT_FALSE(write.is_interrupt());
    const FaultRecord read{0, FaultRecord::present | 1ULL << 62 | 0x06ULL << 32 | 0x3aff};
    EXPECT_FALSE(read.is_write());
    const FaultRecord message{0x0123ULL << 48, FaultRecord::present | 0x22ULL << 32 | 0x88};
    EXPECT_TRUE(message.is_interrupt());
    EXPECT_EQ(message.interrupt_index(), 0x123);
    EXPECT_FALSE(FaultRecord{}.valid());
    EXPECT_EQ(vtd_reason(5), "not mapped for writing");
    EXPECT_EQ(vtd_reason(0xee), "unknown reason");
}

TEST(IommuInterrupts, MessagesNameTheirEntry) {
    EXPECT_EQ(spec::remappable_message_address(0), 0xfee0'0018U);
    EXPECT_EQ(spec::remappable_message_address(1), 0xfee0'0038U);
    EXPECT_EQ(spec::remappable_message_address(0x8001), 0xfee0'003cU);
}

TEST(IommuCapabilities, AreReadAsTheSpecificationSays) {
    // QEMU 10.0: 39 and 48 bits, one fault record at 0x220, page-selective up to order 18, 65,536 domains.
    const Capability capability{0x00d2'008c'222f'0606};
    EXPECT_TRUE(capability.walks(3));
    EXPECT_TRUE(capability.walks(4));
    EXPECT_FALSE(capability.walks(5));
    EXPECT_EQ(capability.address_bits(), 48U);
    EXPECT_EQ(capability.fault_offset(), 0x220U);
    EXPECT_EQ(capability.fault_records(), 1U);
    EXPECT_EQ(capability.largest_order(), 18U);
    EXPECT_TRUE(capability.invalidates_pages());
    EXPECT_EQ(capability.domains(), 65536U);
    EXPECT_FALSE(capability.caching_mode());
}

}  // namespace
}  // namespace pv::iommu
