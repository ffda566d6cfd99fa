// Calls of a profile: where the kernel runs, and what its calls mean, on a memory made by hand.
// SPDX-License-Identifier: MIT
#include "plugin/calls.hpp"

#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

#include "paravane/marker.h"

namespace pv::plugin {
namespace {

constexpr std::uint64_t anchor = 0xffff'ffff'8104'ee41;
constexpr std::uint64_t slide = 0x9c0'0000;
constexpr std::uint64_t map_page = 0xffff'ffff'8113'3090;
constexpr std::uint64_t unmap_page = 0xffff'ffff'8113'3300;
constexpr std::uint64_t map_sg = 0xffff'ffff'8113'2600;
constexpr std::uint64_t map_table = 0xffff'ffff'8113'2620;
constexpr std::uint64_t unmap_sg = 0xffff'ffff'8113'2650;
constexpr std::uint64_t alloc = 0xffff'ffff'8113'2890;
constexpr std::uint64_t pci_type = 0xffff'ffff'82ba'd9c0;
constexpr std::uint64_t pages_variable = 0xffff'ffff'8239'8470;
constexpr std::uint64_t memory_variable = 0xffff'ffff'8239'8480;
constexpr std::uint64_t give_back = 0xffff'ffff'812e'2ff0;
constexpr std::uint64_t give_folios_back = 0xffff'ffff'812e'3320;
constexpr std::uint64_t flush_range = 0xffff'ffff'8107'f4d0;
constexpr std::uint64_t flush_kernel_range = 0xffff'ffff'8107'fa10, flush_all = 0xffff'ffff'8107'f9c0;

const std::string text =
    "paravane-profile 1\nname test\n"
    // call; mov $0xffffffff82a1aa40,%rdi, an address that moves; the rest nothing
    "anchor 0xffffffff8104ee41 e8eac801fe415648c7c740aaa182415541545553909090909090909090909090\n"
    "offset device-bus 96\noffset pci-device 200\noffset pci-bus 16\noffset pci-devfn 56\noffset bus-number "
    "216\n"
    "offset list-page 0\noffset list-offset 8\noffset list-length 12\noffset list-bus 16\noffset "
    "list-bus-length 24\n"
    "offset table-list 0\noffset table-count 8\noffset page-size 64\noffset list-size 32\n"
    "variable pci-type 0xffffffff82bad9c0\nvariable pages 0xffffffff82398470\n"
    "call 0xffffffff81133090 map device=0 page=1 offset=2 length=3 direction=4 bus=result fails-with=-1\n"
    "call 0xffffffff81133300 unmap device=0 bus=1 length=2\n"
    "call 0xffffffff81132600 map-list device=0 list=1 count=result direction=3\n"
    "call 0xffffffff81132620 map-table device=0 table=1 direction=2\n"
    "call 0xffffffff81132650 unmap-list device=0 list=1 count=2\n"
    "call 0xffffffff81132890 map device=0 length=1 bus=*2 fails-with=0\n"
    "offset batch-count 0\noffset batch-folios 8\noffset folio-flags 0\noffset folio-order 64\n"
    "offset head-bit 6\noffset space-root 72\nvariable memory 0xffffffff82398480\n"
    "call 0xffffffff812e2ff0 release page=0 order=1\n"
    "call 0xffffffff812e3320 release-folios batch=0\n"
    "call 0xffffffff8107f4d0 shootdown space=0 first=1 last=2 shift=3\n"
    "call 0xffffffff8107fa10 shootdown-kernel first=0 last=1\n"
    "call 0xffffffff8107f9c0 shootdown-kernel\n";

class CallsTest : public ::testing::Test, public CallSink {
  protected:
    void SetUp() override {
        put_text(anchor + slide, "\xe8\xea\xc8\x01\xfe\x41\x56\x48\xc7\xc7", 10);
        put(anchor + slide + 10, 0x82a1'aa40 + slide, 4);
        put_text(anchor + slide + 14, "\x41\x55\x41\x54\x55\x53", 6);
        for (std::uint64_t i = 20; i < 32; ++i) {
            put(anchor + slide + i, 0x90, 1);
        }
        // A PCI function 01:02.3, and a device of another bus.
        put(device + 96, pci_type + slide, 8);
        put(device - 200 + 16, bus, 8);
        put(device - 200 + 56, 0x13, 4);
        put(bus + 216, 1, 1);
        put(stranger + 96, pci_type + slide + 0x100, 8);
        put(pages_variable + slide, first_page, 8);
        put(memory_variable + slide, memory_begin, 8);
    }

    void map(std::uint64_t of, std::uint64_t at, std::uint64_t physical, std::uint64_t length,
             std::uint64_t direction) override {
        told.push_back({'m', of, at, length, physical, direction});
    }

    void unmap(std::uint64_t of, std::uint64_t at, std::uint64_t length) override {
        told.push_back({'u', of, at, length});
    }

    void release(std::uint64_t physical, std::uint64_t length) override {
        told.push_back({'r', 0, 0, length, physical});
    }

    std::uint64_t shootdown_begin() override { return ++shootdowns; }

    void shootdown_end(std::uint64_t begun, std::uint64_t root, std::uint64_t address,
                       std::uint64_t length) override {
        told.push_back({'s', begun, address, length, root});
    }

    void kernel_shootdown_end(std::uint64_t begun, std::uint64_t address, std::uint64_t length) override {
        told.push_back({'k', begun, address, length});
    }

    void put(std::uint64_t address, std::uint64_t value, std::size_t size) {
        for (std::size_t i = 0; i < size; ++i) {
            memory[address + i] = static_cast<std::uint8_t>(value >> 8 * i);
        }
    }

    void put_text(std::uint64_t address, const char* bytes, std::size_t size) {
        for (std::size_t i = 0; i < size; ++i) {
            put(address + i, static_cast<unsigned char>(bytes[i]), 1);
        }
    }

    /// Entry `i` of a list at `list`: a page, what of it, and what the device sees.
    void put_entry(std::uint64_t at, std::uint64_t page_link, std::uint64_t offset, std::uint64_t length,
                   std::uint64_t bus_address, std::uint64_t bus_length) {
        put(at, page_link, 8);
        put(at + 8, offset, 4);
        put(at + 12, length, 4);
        put(at + 16, bus_address, 8);
        put(at + 24, bus_length, 4);
    }

    void boot() { ASSERT_TRUE(calls.is_anchor(anchor + slide, read)); }

    void begin(std::uint64_t function, std::array<std::uint64_t, 6> arguments, std::uint64_t stack = 0xff00,
               std::uint64_t site = 0xffff'ffff'c040'1000) {
        put(stack, site, 8);
        const Call* call = calls.begins(function + slide);
        ASSERT_NE(call, nullptr);
        calls.begin(*call, {arguments, stack, 0xdead}, read, *this);
    }

    void end(std::uint64_t result, std::uint64_t stack = 0xff00, std::uint64_t site = 0xffff'ffff'c040'1000) {
        EXPECT_TRUE(calls.returns(site));
        calls.end(site, {{}, stack + 8, result}, read, *this);
    }

    struct Told {
        char what;
        std::uint64_t device, bus, length;
        std::uint64_t physical = 0, direction = 0;

        bool operator==(const Told&) const = default;
    };

    static constexpr std::uint64_t device = 0xffff'8880'0010'0000;
    static constexpr std::uint64_t stranger = 0xffff'8880'0020'0000;
    static constexpr std::uint64_t bus = 0xffff'8880'0030'0000;
    static constexpr std::uint64_t first_page = 0xffff'ea00'0000'0000;
    static constexpr std::uint64_t memory_begin = 0xffff'9a00'0000'0000;
    static constexpr std::uint64_t bdf = 0x113;

    std::map<std::uint64_t, std::uint8_t> memory;
    const ReadMemory read = [this](std::uint64_t address, std::size_t size) -> std::optional<std::uint64_t> {
        std::uint64_t value = 0;
        for (std::size_t i = 0; i < size; ++i) {
            const auto byte = memory.find(address + i);
            if (byte == memory.end()) {
                return std::nullopt;
            }
            value |= std::uint64_t{byte->second} << 8 * i;
        }
        return value;
    };
    Calls calls{*parse_profile(text)};
    std::vector<Told> told;
    std::uint64_t shootdowns = 0;
};

TEST_F(CallsTest, TheAnchorTellsHowFarTheKernelMoved) {
    EXPECT_FALSE(calls.slide());
    EXPECT_EQ(calls.begins(map_page), nullptr);
    EXPECT_FALSE(calls.is_anchor(anchor, read)) << "nothing is there";
    EXPECT_FALSE(calls.is_anchor(anchor + slide + 0x1000, read)) << "kernels do not move by pages";
    EXPECT_FALSE(calls.is_anchor(anchor - 0x8000'0000, read)) << "not the kernel's part of memory";
    put(anchor + slide + 11, 0x11, 1);  // a difference that no move makes
    EXPECT_FALSE(calls.is_anchor(anchor + slide, read));
    put(anchor + slide + 11, 0xaa, 1);
    put(anchor + slide + 25, 0x91, 1);
    EXPECT_FALSE(calls.is_anchor(anchor + slide, read));
    put(anchor + slide + 25, 0x90, 1);
    EXPECT_TRUE(calls.is_anchor(anchor + slide, read));
    EXPECT_EQ(calls.slide(), slide);
    EXPECT_NE(calls.begins(map_page + slide), nullptr);
    EXPECT_EQ(calls.begins(map_page + slide + 1), nullptr);
    EXPECT_EQ(calls.begins(map_page), nullptr);
}

TEST_F(CallsTest, AKernelThatBootsAgainElsewhereIsFollowedThere) {
    boot();
    begin(map_page, {device, first_page, 0, 4096, 1});
    constexpr std::uint64_t other = 0x100'0000;
    for (std::uint64_t i = 0; i < 32; ++i) {
        memory[anchor + other + i] = memory[anchor + slide + i];
    }
    put(anchor + other + 10, 0x82a1'aa40 + other, 4);
    EXPECT_TRUE(calls.is_anchor(anchor + other, read));
    EXPECT_EQ(calls.slide(), other);
    EXPECT_FALSE(calls.returns(0xffff'ffff'c040'1000)) << "what was under way is not any more";
}

TEST_F(CallsTest, AMappingIsToldWhenItsCallReturns) {
    boot();
    begin(map_page, {device, first_page + 64 * 0x123, 0x200, 0x1000, 2});
    EXPECT_TRUE(told.empty());
    end(0xfff'e000);
    EXPECT_EQ(told, (std::vector<Told>{{'m', bdf, 0xfff'e000, 0x1000, 0x12'3200, PV_DMA_FROM_DEVICE}}));
    begin(unmap_page, {device, 0xfff'e000, 0x1000, 2});
    EXPECT_EQ(told.back(), (Told{'u', bdf, 0xfff'e000, 0x1000}));
    EXPECT_EQ(calls.lost(), 0U);
}

TEST_F(CallsTest, WhatFailsAndWhatIsNoPciDeviceIsNotTold) {
    boot();
    begin(map_page, {device, first_page, 0, 4096, 1});
    end(~std::uint64_t{0});
    begin(map_page, {stranger, first_page, 0, 4096, 1});
    end(0x1000);
    begin(alloc, {device, 4096, 0x5000});
    end(0);
    begin(map_table, {device, 0x9000, 1});
    end(static_cast<std::uint32_t>(-12));
    begin(map_sg, {device, 0x9000, 4, 1});
    end(0);
    EXPECT_TRUE(told.empty());
    EXPECT_EQ(calls.lost(), 0U);
}

TEST_F(CallsTest, SharedMemoryIsWhereItsCallerWasTold) {
    boot();
    begin(alloc, {device, 8192, 0x5000});
    put(0x5000, 0x77'7000, 8);
    end(0xffff'8880'0077'7000);
    EXPECT_EQ(told,
              (std::vector<Told>{{'m', bdf, 0x77'7000, 8192, PV_PHYSICAL_UNKNOWN, PV_DMA_BIDIRECTIONAL}}));
}

TEST_F(CallsTest, CallsUnderWayOnSeveralStacksAreKeptApart) {
    boot();
    // A thread that sleeps in its call; one on another stack from the same place; an interrupt over it.
    begin(map_page, {device, first_page, 0, 0x1000, 1}, 0x1'ff00);
    begin(map_page, {device, first_page + 64, 0, 0x2000, 1}, 0x2'ff00);
    begin(map_page, {device, first_page + 128, 0, 0x3000, 1}, 0x2'fe00, 0xffff'ffff'c040'2000);
    calls.end(0xffff'ffff'c040'1000, {{}, 0x2'f000, 0xbad}, read, *this);  // reached in another way
    EXPECT_TRUE(told.empty());
    end(0x3'0000, 0x2'fe00, 0xffff'ffff'c040'2000);
    end(0x1'0000, 0x1'ff00);
    end(0x2'0000, 0x2'ff00);
    ASSERT_EQ(told.size(), 3U);
    EXPECT_EQ(told[0], (Told{'m', bdf, 0x3'0000, 0x3000, 0x2000, PV_DMA_TO_DEVICE}));
    EXPECT_EQ(told[1], (Told{'m', bdf, 0x1'0000, 0x1000, 0, PV_DMA_TO_DEVICE}));
    EXPECT_EQ(told[2], (Told{'m', bdf, 0x2'0000, 0x2000, 0x1000, PV_DMA_TO_DEVICE}));
    EXPECT_EQ(calls.lost(), 0U);
}

TEST_F(CallsTest, ListsAreFollowedThroughTheirParts) {
    boot();
    constexpr std::uint64_t list = 0x9000;
    constexpr std::uint64_t second = 0xa000;
    put_entry(list, first_page + 64 * 5, 0x100, 0x200, 0x5100, 0x200);
    put_entry(list + 32, second | 1, 0, 0, 0, 0);                         // goes on there
    put_entry(second, first_page + 64 * 7, 0, 0x1000, 0x9'0000, 0x3000);  // two pages that were joined
    put_entry(second + 32, first_page + 64 * 8 + 2, 0, 0x2000, 0,
              0);  // the last; without an address of its own
    begin(map_sg, {device, list, 3, 1});
    end(2);
    const std::vector<Told> mapped = {{'m', bdf, 0x5100, 0x200, 0x5100, PV_DMA_TO_DEVICE},
                                      {'m', bdf, 0x9'0000, 0x3000, PV_PHYSICAL_UNKNOWN, PV_DMA_TO_DEVICE}};
    EXPECT_EQ(told, mapped);
    told.clear();
    begin(unmap_sg, {device, list, 3, 1});
    EXPECT_EQ(told, (std::vector<Told>{{'u', bdf, 0x5100, 0x200}, {'u', bdf, 0x9'0000, 0x3000}}));
    told.clear();
    put(0x8000, list, 8);
    put(0x8008, 2, 4);
    begin(map_table, {device, 0x8000, 1});
    end(0);
    EXPECT_EQ(told, mapped);
    EXPECT_EQ(calls.lost(), 0U);
}

TEST_F(CallsTest, WhatCannotBeReadIsCountedAndNotGuessed) {
    boot();
    const Call* call = calls.begins(map_page + slide);
    calls.begin(*call, {{device, first_page, 0, 4096, 1}, 0x7777'0000, 0}, read, *this);  // no stack there
    EXPECT_EQ(calls.lost(), 1U);
    begin(unmap_sg, {device, 0x6666'0000, 3, 1});  // no list there
    EXPECT_EQ(calls.lost(), 2U);
    // A return that was missed: its stack is used by the next call.
    begin(map_page, {device, first_page, 0, 4096, 1});
    begin(map_page, {device, first_page, 0, 4096, 1});
    EXPECT_EQ(calls.lost(), 3U);
    EXPECT_TRUE(told.empty());
}

TEST_F(CallsTest, HostileCallsCostBoundedRoom) {
    boot();
    for (std::uint64_t i = 0; i < Calls::most_under_way + 10; ++i) {
        begin(map_page, {device, first_page, 0, 4096, 1}, 0x10'0000 + i * 16, 0xffff'ffff'c000'0000 + i);
    }
    EXPECT_EQ(calls.lost(), 10U);
    // A list that leads back to itself.
    constexpr std::uint64_t list = 0x9000;
    put_entry(list, first_page, 0, 0x1000, 0x1000, 0x1000);
    put_entry(list + 32, list | 1, 0, 0, 0, 0);
    begin(unmap_sg, {device, list, 0x7fff'ffff, 1}, 0x50'0000);
    EXPECT_EQ(calls.lost(), 11U);
    EXPECT_EQ(told.size(), Calls::most_entries);
}

TEST_F(CallsTest, PagesGivenBackAreToldWithTheirOrder) {
    boot();
    begin(give_back,
          {first_page + 64 * 0x123, 0xffff'ffff'0000'0002});  // an int: what is above it is not its
    EXPECT_EQ(told, (std::vector<Told>{{'r', 0, 0, 4 * 4096, 0x12'3000}}));
    begin(give_back, {first_page, 11});
    begin(give_back, {first_page - 64, 0});
    EXPECT_EQ(told.size(), 1U);
    EXPECT_EQ(calls.lost(), 2U);
}

TEST_F(CallsTest, FoliosGivenBackAreToldEach) {
    boot();
    constexpr std::uint64_t batch = 0x9000;
    put(batch, 2, 1);
    put(batch + 8, first_page + 64 * 5, 8);
    put(batch + 16, first_page + 64 * 8, 8);
    put(first_page + 64 * 5, 1, 8);  // flags; whatever stands at the order is not its
    put(first_page + 64 * 8, 1 << 6, 8);
    put(first_page + 64 * 8 + 64, 0x103, 8);
    begin(give_folios_back, {batch});
    EXPECT_EQ(told, (std::vector<Told>{{'r', 0, 0, 4096, 0x5000}, {'r', 0, 0, 8 * 4096, 0x8000}}));
    EXPECT_EQ(calls.lost(), 0U);
    told.clear();
    put(first_page + 64 * 8 + 64, 11, 8);
    begin(give_folios_back, {batch});
    put(batch, 32, 1);
    begin(give_folios_back, {batch});
    begin(give_folios_back, {0x6666'0000});
    EXPECT_EQ(told.size(), 1U);
    EXPECT_EQ(calls.lost(), 3U);
}

TEST_F(CallsTest, AShootdownIsOverWhenItsCallReturns) {
    boot();
    constexpr std::uint64_t space = 0x8000;
    put(space + 72, memory_begin + 0x12'3000, 8);
    begin(flush_range, {space, 0x7000, 0x9000, 12, 1});
    EXPECT_EQ(shootdowns, 1U);
    EXPECT_TRUE(told.empty());
    begin(flush_range, {space, 0x1000, 0x2000, 12, 1}, 0x2'ff00);
    end(0);
    EXPECT_EQ(told, (std::vector<Told>{{'s', 1, 0x7000, 0x2000, 0x12'3000}}));
    end(0, 0x2'ff00);
    EXPECT_EQ(told.back(), (Told{'s', 2, 0x1000, 0x1000, 0x12'3000}));
    // Longer strides, ranges of nothing, tables that are nowhere.
    begin(flush_range, {space, 0x20'0000, 0x40'0000, 21});
    end(0);
    begin(flush_range, {space, 0x2000, 0x2000, 12});
    end(0);
    EXPECT_EQ(calls.lost(), 0U);
    put(space + 72, 0x1000, 8);
    begin(flush_range, {space, 0x1000, 0x2000, 12});
    end(0);
    EXPECT_EQ(told.size(), 2U);
    EXPECT_EQ(calls.lost(), 1U);
}

TEST_F(CallsTest, TheKernelsOwnShootdownsConcernARangeOrEverything) {
    boot();
    begin(flush_kernel_range, {0xffff'c900'0000'1000, 0xffff'c900'0000'4000});
    EXPECT_TRUE(told.empty());
    end(0);
    begin(flush_all, {});
    end(0);
    begin(flush_kernel_range, {0xffff'c900'0000'1000, 0xffff'c900'0000'1000});
    end(0);
    EXPECT_EQ(told,
              (std::vector<Told>{{'k', 1, 0xffff'c900'0000'1000, 0x3000}, {'k', 2, 0, ~std::uint64_t{0}}}));
    EXPECT_EQ(calls.lost(), 0U);
}

TEST(ProfileText, MistakesAreNamedByTheirLine) {
    ASSERT_TRUE(parse_profile(text));
    EXPECT_EQ(parse_profile(text)->calls.size(), 11U);
    const std::vector<std::pair<std::string, std::string>> changes = {
        {"paravane-profile 1", "paravane-profile 2"},
        {"anchor 0xffffffff8104ee41 e8", "anchor 0xffffffff8104ee41 zz"},
        {"anchor 0xffffffff8104ee41 e8", "anchor 0xffffffff8104ee41 "},
        {"offset device-bus 96", "offset device-bus"},
        {"offset device-bus", "offset something"},
        {"variable pages", "variable others"},
        {"map device=0", "mop device=0"},
        {"bus=result", "bus=reslt"},
        {"bus=*2", "bus=*6"},
        {"unmap device=0 bus=1", "unmap device=0"},
        {"fails-with=-1", "fails-with=x"},
        {"call 0xffffffff81133300 unmap", "call here unmap"},
        {"release page=0", "release page=result"},
        {"release page=0 order=1", "release order=1"},
        {"order=1", "order=*1"},
        {"release-folios batch=0", "release-folios"},
        {" shift=3", ""},
        {"kernel first=0 last=1", "kernel first=0"},
    };
    for (const auto& [from, to] : changes) {
        std::string wrong = text;
        wrong.replace(wrong.find(from), from.size(), to);
        const auto result = parse_profile(wrong);
        ASSERT_FALSE(result) << to;
        EXPECT_NE(result.error().find("line "), std::string::npos) << to;
    }
    EXPECT_FALSE(parse_profile(""));
    EXPECT_FALSE(parse_profile("paravane-profile 1\n"));
    std::string nowhere = text;
    nowhere.replace(nowhere.find("variable memory"), 34, "");
    EXPECT_FALSE(parse_profile(nowhere)) << "shootdowns need to know where memory is mapped";
}

}  // namespace
}  // namespace pv::plugin
