// An NVMe controller's commands: whose the bytes are, from the doorbell to the completion.
// SPDX-License-Identifier: MIT
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "machine.hpp"
#include "paravane/marker.h"

namespace pv::ownership::test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

struct Entry {
    std::uint8_t opcode = 0, flags = 0;
    std::uint16_t id = 0;
    std::uint32_t space = 1;
    std::uint64_t unused = 0, metadata = 0, pointer1 = 0, pointer2 = 0;
    std::uint32_t dword10 = 0, dword11 = 0, dword12 = 0, dword13 = 0, dword14 = 0, dword15 = 0;
};

struct Completion {
    std::uint32_t result, unused;
    std::uint16_t head, queue, id, status;
};

struct Segment {
    std::uint64_t address;
    std::uint32_t length;
    std::uint32_t type;
};

class OwnershipNvme : public testing::Test {
  protected:
    static constexpr std::uint64_t bar = 0xfebf'0000;
    static constexpr std::uint64_t admin = 0x10000, admin_ends = 0x11000, io = 0x12000, ends = 0x13000;
    static constexpr std::uint64_t buffer = 0x20000, list = 0x30000, shadow = 0x40000;
    static constexpr std::uint32_t entries = 8;
    static constexpr std::uint8_t write = 1, read = 2;

    void SetUp() override {
        enable();
        make_queues();
    }

    void enable() {
        machine.write(Region::nvme, bar + 0x14, 0);
        machine.write(Region::nvme, bar + 0x24, (entries - 1) << 16 | (entries - 1));
        machine.write(Region::nvme, bar + 0x28, admin);
        machine.write(Region::nvme, bar + 0x2c, 0);
        machine.write(Region::nvme, bar + 0x30, admin_ends, 8);
        machine.write(Region::nvme, bar + 0x14, 0x460001);
        clear(0);
        tails = heads = {};
        phases = {true, true};
    }

    /// A queue of completions that is used again.
    void clear(unsigned queue) {
        for (std::uint64_t at = 0; at < 16 * entries; at += 8) {
            machine.put((queue == 0 ? admin_ends : ends) + at, std::uint64_t{0});
        }
    }

    void make_queues() {
        run_admin({.opcode = 5, .id = 1, .pointer1 = ends, .dword10 = (entries - 1) << 16 | 1, .dword11 = 1});
        run_admin({.opcode = 1,
                   .id = 2,
                   .pointer1 = io,
                   .dword10 = (entries - 1) << 16 | 1,
                   .dword11 = 1 << 16 | 1});
        clear(1);
    }

    void run_admin(const Entry& entry) {
        submit(entry, 0);
        complete(entry.id, 0);
        answer(0);
    }

    /// Writes the entry; the doorbell is rung by `ring`.
    void put(const Entry& entry, unsigned queue = 1) {
        const std::uint64_t at = (queue == 0 ? admin : io) + 64ULL * tails[queue];
        machine.store(at, entry);
        tails[queue] = (tails[queue] + 1) % entries;
    }

    void ring(unsigned queue = 1) { machine.write(Region::nvme, bar + 0x1000 + 8 * queue, tails[queue]); }

    void submit(const Entry& entry, unsigned queue = 1) {
        put(entry, queue);
        ring(queue);
    }

    /// The controller has fetched all, and ends this one.
    void complete(std::uint16_t id, unsigned queue = 1, std::uint16_t status = 0) {
        const auto word = static_cast<std::uint16_t>(status << 1 | (phases[queue] ? 1 : 0));
        machine.put((queue == 0 ? admin_ends : ends) + 16ULL * heads[queue],
                    Completion{0, 0, static_cast<std::uint16_t>(tails[queue]),
                               static_cast<std::uint16_t>(queue), id, word});
        heads[queue] = (heads[queue] + 1) % entries;
        phases[queue] = heads[queue] == 0 ? !phases[queue] : phases[queue];
    }

    void answer(unsigned queue = 1) { machine.write(Region::nvme, bar + 0x1004 + 8 * queue, heads[queue]); }

    static Entry command(std::uint8_t opcode, std::uint16_t id, std::uint64_t pointer1 = buffer,
                         std::uint64_t pointer2 = 0, std::uint32_t blocks = 8) {
        return {
            .opcode = opcode, .id = id, .pointer1 = pointer1, .pointer2 = pointer2, .dword12 = blocks - 1};
    }

    Machine machine;
    std::array<std::uint32_t, 2> tails{}, heads{};
    std::array<bool, 2> phases{true, true};
};

TEST_F(OwnershipNvme, ABufferIsTheControllersUntilItsCommandEnds) {
    submit(command(read, 7));
    machine.load(buffer + 8, 8, 1);
    machine.store(buffer + 4095, std::uint8_t{1});
    EXPECT_THAT(machine.told(),
                ElementsAre(HasSubstr("command 1 7 given by 256"), "load from of 7 at 131080 by 1",
                            "store from of 7 at 135167 by 0"));
    // What lies beside it is nobody's.
    machine.load(buffer - 8, 8);
    machine.store(buffer + 4096, std::uint8_t{1});
    complete(7);
    machine.load(buffer, 8);
    machine.store(buffer, std::uint64_t{1});
    EXPECT_THAT(machine.told(), IsEmpty());
    EXPECT_EQ(machine.tracker.totals().races, 2U);
}

TEST_F(OwnershipNvme, WhatTheControllerReadsMayBeReadAndNotWritten) {
    submit(command(write, 7));
    machine.load(buffer, 8);
    EXPECT_THAT(machine.told(), IsEmpty());
    machine.store(buffer + 512, std::uint16_t{1});
    EXPECT_THAT(machine.told(), ElementsAre(HasSubstr("command 1 7"), "store to of 7 at 131584 by 0"));
}

TEST_F(OwnershipNvme, BuffersAreBytesAndNoPages) {
    submit(command(read, 7, buffer + 512, 0, 1));
    machine.store(buffer + 511, std::uint8_t{1});
    machine.store(buffer + 1024, std::uint8_t{1});
    EXPECT_THAT(machine.told(), IsEmpty());
    // An access that only reaches into it.
    machine.store(buffer + 508, std::uint64_t{1});
    EXPECT_EQ(machine.told().size(), 2U);
}

TEST_F(OwnershipNvme, PagesOfAListAndTheListItself) {
    const std::uint64_t pages[] = {0x50000, 0x60000, 0x70000};
    for (std::size_t i = 0; i < 3; ++i) {
        machine.put(list + 8 * i, pages[i]);
    }
    submit(command(read, 9, buffer + 0x800, list, 28));  // half a page, and three whole ones
    machine.store(list + 16, std::uint64_t{0});
    machine.load(0x70000, 1);
    machine.load(0x70fff, 1);
    EXPECT_THAT(machine.told(), ElementsAre(HasSubstr("command 1 9"), "store list of 9 at 196624 by 0",
                                            "load from of 9 at 458752 by 0"));
    machine.load(buffer + 0x7f8, 8);
    machine.store(list + 24, std::uint64_t{0});
    EXPECT_THAT(machine.told(), IsEmpty());
}

TEST_F(OwnershipNvme, AListGoesOnInItsLastEntry) {
    // The list begins at the last but one entry of its page: one page, then the next list.
    machine.put(list + 4080, std::uint64_t{0x50000});
    machine.put(list + 4088, std::uint64_t{0x38000});
    machine.put(0x38000, std::uint64_t{0x60000});
    machine.put(0x38008, std::uint64_t{0x70000});
    submit(command(read, 9, buffer, list + 4080, 32));
    for (const std::uint64_t page : {0x50000ULL, 0x60000ULL, 0x70000ULL}) {
        machine.load(page, 8);
    }
    machine.store(0x38008, std::uint64_t{0});
    EXPECT_THAT(machine.told(),
                ElementsAre(HasSubstr("command"), HasSubstr("load from"), HasSubstr("load from"),
                            HasSubstr("load from"), HasSubstr("store list")));
}

TEST_F(OwnershipNvme, SegmentsAndTheirBlocks) {
    machine.put(list, Segment{0x50000, 512, 0});
    machine.put(list + 16, Segment{0x38000, 32, 0x3000'0000});  // the last segment
    machine.put(0x38000, Segment{0, 1024, 0x1000'0000});        // thrown away
    machine.put(0x38010, Segment{0x60000, 2560, 0});
    Entry entry = command(read, 4);
    entry.flags = 1 << 6;
    entry.pointer1 = list;
    entry.pointer2 = 0x2000'0000ULL << 32 | 32;
    submit(entry);
    machine.load(0x501ff, 1);
    machine.load(0x609ff, 1);
    machine.store(0x38018, std::uint32_t{0});
    EXPECT_THAT(machine.told(), ElementsAre(HasSubstr("command 1 4"), HasSubstr("load from"),
                                            HasSubstr("load from"), HasSubstr("store list")));
    machine.load(0x50200, 1);
    machine.load(0x60a00, 1);
    EXPECT_THAT(machine.told(), IsEmpty());
}

TEST_F(OwnershipNvme, AnEntryIsTheControllersUntilItWasFetched) {
    // Another command's completion says that all were fetched: the slot may be written, the data may not.
    submit(command(write, 7));
    submit(command(read, 8, 0x50000));
    complete(8);
    machine.store(io, std::uint8_t{write});
    EXPECT_THAT(machine.told(), IsEmpty());
    machine.store(buffer, std::uint8_t{0});
    EXPECT_THAT(machine.told(), ElementsAre(HasSubstr("command 1 7"), "store to of 7 at 131072 by 0"));
    submit(command(write, 9, 0x60000));
    machine.store(io + 128, std::uint8_t{write});
    EXPECT_THAT(machine.told(), ElementsAre(HasSubstr("command 1 9"), "store descriptor of 9 at 73856 by 0"));
}

TEST_F(OwnershipNvme, TheRingGoesAroundWithoutAWord) {
    for (std::uint16_t i = 0; i < 100; ++i) {
        submit(command(i % 2 == 0 ? read : write, i));
        complete(i);
        machine.load(buffer, 8);
        machine.store(buffer, std::uint64_t{i});
        answer();
    }
    EXPECT_THAT(machine.told(), IsEmpty());
    EXPECT_EQ(machine.tracker.totals().commands, 102U);
}

TEST_F(OwnershipNvme, ACompletionThatIsSeenBeforeItsDoorbellLeavesNothingOwned) {
    // The controller is quick: another processor looks at the queue before the first is told of its doorbell.
    submit(command(read, 1, 0x50000));
    put(command(read, 7));
    complete(7);
    machine.load(0x50000, 1);  // looks at what ended
    machine.told();
    ring();
    machine.load(buffer, 8);
    EXPECT_THAT(machine.told(), IsEmpty());
}

TEST_F(OwnershipNvme, NoQueueIsDeletedFromWithinItself) {
    submit(command(read, 7));
    submit({.opcode = 4, .id = 9, .dword10 = 1}, 0);  // deletes completion queue 1
    machine.put(ends, Completion{0, 0, 1, 0, 9, 1});  // and its end stands in that queue
    machine.load(buffer, 8);
    EXPECT_EQ(machine.told().size(), 2U);
}

TEST_F(OwnershipNvme, DoorbellsInMemoryCount) {
    run_admin({.opcode = 0x7c, .id = 3, .pointer1 = shadow, .pointer2 = shadow + 0x1000});
    put(command(read, 7));
    machine.load(buffer, 8);
    EXPECT_THAT(machine.told(), IsEmpty());
    machine.store(shadow + 8, tails[1]);
    machine.load(buffer, 8);
    EXPECT_THAT(machine.told(), ElementsAre(HasSubstr("command 1 7"), HasSubstr("load from of 7")));
}

TEST_F(OwnershipNvme, BlocksHaveTheSizeThatTheNamespaceSays) {
    submit({.opcode = 6, .id = 3, .pointer1 = 0x60000}, 0);
    machine.put(0x60000 + 26, std::uint8_t{2});
    machine.put(0x60000 + 128 + 8, std::uint32_t{12 << 16});
    machine.load(0x60000, 8);
    EXPECT_EQ(machine.told().size(), 2U);  // its data are a command's like all others
    complete(3, 0);
    answer(0);
    submit(command(read, 7, buffer, 0, 1));
    machine.load(buffer + 4095, 1);
    EXPECT_THAT(machine.told(), ElementsAre(HasSubstr("command 1 7"), HasSubstr("load from of 7")));
}

TEST_F(OwnershipNvme, ResetShutdownAndDeletedQueuesGiveEverythingBack) {
    submit(command(read, 7));
    run_admin({.opcode = 0, .id = 4, .dword10 = 1});
    machine.load(buffer, 8);
    EXPECT_THAT(machine.told(), IsEmpty());
    for (const std::uint32_t configuration : {0x460000U, 0x464001U}) {
        enable();
        make_queues();
        submit(command(read, 7));
        machine.write(Region::nvme, bar + 0x14, configuration);
        machine.load(buffer, 8);
        EXPECT_THAT(machine.told(), IsEmpty());
    }
}

TEST_F(OwnershipNvme, CompletionsOfTheQueuesLastLifeAreNone) {
    for (std::uint16_t i = 0; i < 5; ++i) {
        submit(command(read, i));
        complete(i);
        answer();
    }
    machine.write(Region::nvme, bar + 0x14, 0x460000);
    enable();
    make_queues();  // which clears it when the controller has made it
    submit(command(read, 0));
    complete(0);
    machine.load(buffer, 8);
    EXPECT_THAT(machine.told(), IsEmpty());
    submit(command(read, 1));
    machine.load(buffer, 8);
    EXPECT_EQ(machine.told().size(), 2U);
}

TEST_F(OwnershipNvme, ADriverMayGiveItsDeviceUp) {
    machine.mark(PV_MARKER_device, {0x80, PV_DEVICE_NVME, bar, 0x4000});
    submit(command(read, 7));
    machine.mark(PV_MARKER_device_dead, {0x81, 1});  // another
    machine.load(buffer, 1);
    EXPECT_EQ(machine.told().size(), 2U);
    machine.mark(PV_MARKER_device_dead, {0x80, 1});
    machine.load(buffer + 1, 1);
    machine.store(buffer, std::uint8_t{1});
    EXPECT_THAT(machine.told(), IsEmpty());
}

TEST_F(OwnershipNvme, BehindAnIommuMarkersSayWhereTheMemoryIs) {
    machine.mark(PV_MARKER_device, {0x80, PV_DEVICE_NVME, bar, 0x4000});
    machine.write(Region::vtd, 0xfed9'0018, 1U << 31);
    for (const std::uint64_t page : {admin, admin_ends, io, ends}) {
        machine.mark(PV_MARKER_dma_map, {0x80, page, page, page, 0x1000, 3});
    }
    machine.mark(PV_MARKER_dma_map, {0x80, 9, 0xffff'0000, 0x50000, 0x1000, 2});
    for (const std::uint64_t page : {admin, admin_ends, io, ends}) {
        machine.mark(PV_MARKER_dma_map, {0x80, page, page, page, 0x1000, 3});
    }
    enable();
    make_queues();
    submit(command(read, 7, 0xffff'0000));
    machine.load(0x50000, 8);
    EXPECT_THAT(machine.told(), ElementsAre(HasSubstr("command 1 7"), "load from of 7 at 327680 by 0"));
}

TEST_F(OwnershipNvme, BehindAnIommuWithoutMarkersItIsSaid) {
    machine.write(Region::vtd, 0xfed9'0018, 1U << 31);
    enable();
    EXPECT_THAT(machine.told(), ElementsAre("unseen " + std::to_string(bar) + " 3"));
    submit(command(read, 7));
    machine.load(buffer, 8);
    EXPECT_THAT(machine.told(), IsEmpty());
}

}  // namespace
}  // namespace pv::ownership::test
