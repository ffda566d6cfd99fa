// LEDGER C15, H3: an NVMe controller as it comes: its queues, its limits, its namespaces, and nonsense.
// SPDX-License-Identifier: MIT
#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "nvme_machine.hpp"

namespace pv::nvme {
namespace {

using namespace literals;

class NvmeTest : public NvmeMachine {};

constexpr auto opcode(IoOpcode code) {
    return static_cast<std::uint8_t>(code);
}

TEST_F(NvmeTest, QueuePairForEachCpu) {
    ASSERT_TRUE(hosted::set_cpu_count(4));
    bring_up();
    const auto made = fake_->commands(true, static_cast<std::uint8_t>(AdminOpcode::create_completion_queue));
    ASSERT_EQ(made.size(), 4U);
    for (std::uint32_t i = 0; i < 4; ++i) {
        EXPECT_EQ(made[i].dword10 & 0xffff, i + 1);
        EXPECT_EQ(made[i].dword11 >> 16, i + 1) << "each has a vector of its own";
    }
    for (unsigned cpu = 0; cpu < 4; ++cpu) {
        hosted::run_as_cpu(cpu);
        write(100 * cpu, 8);
        EXPECT_TRUE(read(100 * cpu, 8, 10_s));
    }
    hosted::run_as_cpu(0);
    const auto queues = markers().results(PV_MARKER_command_submit, 1);
    for (std::uint64_t queue = 1; queue <= 4; ++queue) {
        EXPECT_EQ(std::ranges::count(queues, queue), 2) << "each CPU submits to its own";
    }
}

TEST_F(NvmeTest, FewerQueuesOrVectorsAreShared) {
    ASSERT_TRUE(hosted::set_cpu_count(4));
    for (const FakeShape& shape :
         {FakeShape{.io_queues = 2}, FakeShape{.vectors = 3}, FakeShape{.vectors = 1}}) {
        bring_up(shape);
        EXPECT_EQ(fake_->seen(true, static_cast<std::uint8_t>(AdminOpcode::create_submission_queue)),
                  shape.vectors == 1 ? 1U : 2U);
        for (unsigned cpu = 0; cpu < 4; ++cpu) {
            hosted::run_as_cpu(cpu);
            write(100 * cpu, 8);
            // In time: an interrupt came, nobody had to look.
            EXPECT_TRUE(read(100 * cpu, 8, 10_s));
        }
        hosted::run_as_cpu(0);
        EXPECT_EQ(markers().count(PV_MARKER_command_timeout), 0U);
        controller_->shut_down(Deadline::after(1_s));
        controller_.reset();
    }
}

TEST_F(NvmeTest, StalledQueueLeavesTheOthersAlone) {
    ASSERT_TRUE(hosted::set_cpu_count(4));
    patience_.command = 150_ms;
    bring_up();
    fake_->judge([](std::uint16_t queue, const SubmissionEntry&) {
        return queue == 2 ? FakeAnswer{.fate = FakeFate::hold} : FakeAnswer{};
    });
    std::atomic<bool> done = false;
    std::thread stalled{[&] {
        hosted::run_as_cpu(1);
        EXPECT_FALSE(read(0, 8, 400_ms));
        done = true;
    }};
    eventually([&] { return fake_->held() == 1; });
    std::size_t others = 0;
    for (unsigned i = 0; !done; ++i) {
        hosted::run_as_cpu(i % 2 == 0 ? 0 : 2);
        EXPECT_TRUE(read(0, 8, 10_s));
        ++others;
    }
    hosted::run_as_cpu(0);
    stalled.join();
    EXPECT_GT(others, 20U);
    settle();
    EXPECT_EQ(fake_->resets, 0U);
}

TEST_F(NvmeTest, DepthIsTheDevices) {
    for (const std::uint64_t entries : {2U, 5U, 64U, 65536U}) {
        bring_up({.queue_entries = entries});
        const auto made =
            fake_->commands(true, static_cast<std::uint8_t>(AdminOpcode::create_submission_queue));
        ASSERT_EQ(made.size(), 1U);
        EXPECT_EQ((made[0].dword10 >> 16) + 1, std::min<std::uint64_t>(entries, 256));
        std::vector<std::thread> threads;
        for (std::uint64_t i = 0; i < 8; ++i) {
            threads.emplace_back([&, i] { EXPECT_TRUE(read(i * 8, 8, 10_s)); });
        }
        for (auto& thread : threads) {
            thread.join();
        }
        controller_->shut_down(Deadline::after(1_s));
        controller_.reset();
    }
}

TEST_F(NvmeTest, TransfersKeepToTheDevicesLimit) {
    bring_up({.transfer = 1, .size = 65536});  // MDTS 1: 8 KiB
    EXPECT_EQ(disk().geometry().command_blocks, 16U);
    write(3, 1000);
    EXPECT_TRUE(read(3, 1000, 10_s));  // the fake fails what is longer
    const auto writes = fake_->commands(false, opcode(IoOpcode::write));
    EXPECT_EQ(writes.size(), (1000U + 15) / 16);
    for (const auto& entry : writes) {
        EXPECT_LE((entry.dword12 & 0xffff) + 1, 16U);
    }
}

TEST_F(NvmeTest, LargestAndNoTransferLimit) {
    for (const std::uint8_t mdts : {std::uint8_t{0}, std::uint8_t{31}, std::uint8_t{255}}) {
        bring_up({.transfer = mdts, .size = 65536});
        // What one PRP list describes: 512 pages.
        EXPECT_EQ(disk().geometry().command_blocks, 4096U);
        controller_->shut_down(Deadline::after(1_s));
        controller_.reset();
    }
}

TEST_F(NvmeTest, SeveralNamespacesAndBlockSizes) {
    bring_up({.block_shift = 12, .namespaces = {1, 3, 9}});
    ASSERT_EQ(controller_->device_count(), 3U);
    EXPECT_EQ(disk(1).name(), "nvme0n3");
    EXPECT_EQ(disk(2).geometry().block_size, 4096U);
    write(0, 2);
    EXPECT_TRUE(read(0, 2, 10_s));
    EXPECT_EQ(fake_->commands(false, opcode(IoOpcode::write))[0].name_space, 1U);
}

TEST_F(NvmeTest, NamespaceListThatRepeatsItselfIsNotBelieved) {
    bring_up({.namespaces = {1, 2, 2, 5}});
    EXPECT_EQ(controller_->device_count(), 2U);
    EXPECT_NE(log().find("not believed"), std::string::npos) << log();
}

TEST_F(NvmeTest, UnusableNamespacesAreLeftAlone) {
    for (const FakeShape& shape :
         {FakeShape{.size = 0}, FakeShape{.block_shift = 3}, FakeShape{.metadata = 8},
          FakeShape{.size = ~std::uint64_t{0}, .block_shift = 12}}) {
        ASSERT_TRUE(try_bring_up(shape));
        EXPECT_EQ(controller_->device_count(), 0U);
        EXPECT_NE(log().find("namespace 1 is not used"), std::string::npos) << log();
        controller_->shut_down(Deadline::after(1_s));
        controller_.reset();
    }
}

TEST_F(NvmeTest, NonsenseIsAnErrorAndTheDeviceIsLeftAlone) {
    struct Case {
        const char* what;
        FakeShape shape;
        Error error;
    };

    const Case cases[] = {
        {"queues of one entry", {.queue_entries = 1}, Error::corrupt},
        {"doorbells beyond the registers", {.stride = 15}, Error::out_of_range},
        {"no NVM command set", {.command_sets = 0}, Error::not_supported},
        {"memory pages of 64 KiB at least", {.page_min = 4, .page_max = 8}, Error::not_supported},
        {"submission entries of 128 bytes", {.entry_sizes = 0x77}, Error::not_supported},
    };
    for (const Case& one : cases) {
        const auto result = try_bring_up(one.shape);
        ASSERT_FALSE(result) << one.what;
        EXPECT_EQ(result.error(), one.error) << one.what << "\n" << log();
        EXPECT_NE(log().find("nvme0: not usable"), std::string::npos) << one.what;
        const auto marks = markers();
        EXPECT_EQ(marks.count(PV_MARKER_device), marks.count(PV_MARKER_device_release)) << one.what;
        EXPECT_EQ(marks.count(PV_MARKER_dma_map), marks.count(PV_MARKER_dma_unmap)) << one.what;
    }
}

TEST_F(NvmeTest, NeverReadyEndsWithItsTimeout) {
    fake_ = std::make_unique<FakeNvme>();
    fake_->never_ready = true;
    const Instant begun = now();
    const auto result = Controller::create(fake_->function(), 0, patience_);
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error(), Error::timed_out);
    EXPECT_GE(now() - begun, 500_ms);  // CAP.TO says 1: 500 ms
    EXPECT_LT(now() - begun, 1500_ms);
}

TEST_F(NvmeTest, NotThereAtAll) {
    fake_ = std::make_unique<FakeNvme>();
    fake_->gone = true;
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    EXPECT_EQ(Controller::create(fake_->function(), 0, patience_).error(), Error::device_failed);
}

TEST_F(NvmeTest, FlushOnlyWhereSomethingIsCached) {
    for (const auto& [shape, flushes] :
         {std::pair{FakeShape{}, 1U}, {FakeShape{.write_cache = 0}, 0U}, {FakeShape{.cache_on = 0}, 0U}}) {
        bring_up(shape);
        EXPECT_TRUE(disk().flush(Deadline::after(10_s)));
        EXPECT_EQ(fake_->seen(false, opcode(IoOpcode::flush)), flushes);
        controller_->shut_down(Deadline::after(1_s));
        controller_.reset();
    }
}

TEST_F(NvmeTest, FlushFollowsTheWritesItIsFor) {
    bring_up();
    for (int i = 0; i < 10; ++i) {
        write(8 * static_cast<std::uint64_t>(i), 8);
        EXPECT_TRUE(disk().flush(Deadline::after(10_s)));
    }
    // A flush is submitted after the completion of what was written before, never beside it.
    const auto marks = markers();
    std::size_t outstanding = 0;
    std::size_t flushes = 0;
    for (const auto& mark : marks.all) {
        if (mark.number == PV_MARKER_command_submit && mark.args[3] == PV_OPERATION_WRITE) {
            ++outstanding;
        } else if (mark.number == PV_MARKER_command_complete && mark.args[1] == 1) {
            outstanding -= outstanding == 0 ? 0 : 1;
        } else if (mark.number == PV_MARKER_command_submit && mark.args[3] == PV_OPERATION_FLUSH) {
            EXPECT_EQ(outstanding, 0U);
            ++flushes;
        }
    }
    EXPECT_EQ(flushes, 10U);
}

TEST_F(NvmeTest, WriteZeroesAndDeallocate) {
    bring_up();
    write(0, 64);
    ASSERT_TRUE(disk().write_zeroes(8, 16, Deadline::after(10_s)));
    const dma::Pages pages = *dma::Pages::allocate(16 * 512);
    ASSERT_TRUE(disk().read(8, {pages, 0, 16 * 512}, Deadline::after(10_s)));
    EXPECT_TRUE(
        std::ranges::all_of(pages.bytes().first(16 * 512), [](std::byte b) { return b == std::byte{0}; }));
    ASSERT_TRUE(disk().discard(40, 10, Deadline::after(10_s)));
    const auto sent = fake_->commands(false, opcode(IoOpcode::dataset_management));
    ASSERT_EQ(sent.size(), 1U);
    EXPECT_EQ(sent[0].dword10, 0U);
    EXPECT_EQ(sent[0].dword11, dataset_deallocate);
    const auto& range = *reinterpret_cast<const DatasetRange*>(std::uint64_t{sent[0].prp1});
    EXPECT_EQ(range.first, 40U);
    EXPECT_EQ(range.blocks, 10U);
}

TEST_F(NvmeTest, WhatIsNotOfferedIsNotSent) {
    bring_up({.optional = 0});
    EXPECT_EQ(disk().write_zeroes(8, 16, Deadline::after(10_s)).error(), Error::not_supported);
    EXPECT_EQ(disk().discard(8, 16, Deadline::after(10_s)).error(), Error::not_supported);
    EXPECT_EQ(fake_->seen(false, opcode(IoOpcode::write_zeroes)), 0U);
}

TEST(ShadowDoorbell, RegisterOnlyWhereTheEventIndexWantsIt) {
    std::uint32_t value = 0;
    std::uint32_t event = 0;
    ShadowDoorbell bell{&value, &event};
    EXPECT_TRUE(bell.ring(1)) << "the controller sleeps at 0";
    EXPECT_EQ(value, 1U);
    EXPECT_FALSE(bell.ring(2)) << "it was woken, and has not gone to sleep since";
    event = 2;
    EXPECT_TRUE(bell.ring(5)) << "it sleeps at 2, which this passes";
    event = 4;
    EXPECT_FALSE(bell.ring(6));
    event = 6;
    EXPECT_TRUE(bell.ring(1)) << "round the end of the queue";
    bell.restart();
    EXPECT_EQ(value, 0U);
    EXPECT_TRUE(bell.ring(1));
    EXPECT_TRUE(ShadowDoorbell{}.ring(1)) << "without one, always";
}

// Doorbells in memory: registers are written when the controller sleeps, and a ring is never missed.
TEST_F(NvmeTest, DoorbellsInMemoryNeedFewRegisters) {
    bring_up({.admin = 0x100});
    ASSERT_EQ(fake_->seen(true, static_cast<std::uint8_t>(AdminOpcode::doorbell_buffer)), 1U);
    std::vector<std::thread> threads;
    for (std::uint64_t i = 0; i < 8; ++i) {
        threads.emplace_back([&, i] {
            for (int n = 0; n < 100; ++n) {
                EXPECT_TRUE(read(i * 8, 8, 10_s));
            }
        });
    }
    for (auto& thread : threads) {
        thread.join();
    }
    EXPECT_GT(fake_->rings, 0U);
    EXPECT_LE(fake_->rings, 800U);
    EXPECT_EQ(markers().count(PV_MARKER_command_timeout), 0U);
    EXPECT_EQ(disk().counts().succeeded, 800U);
}

TEST_F(NvmeTest, DoorbellsInMemorySurviveARecovery) {
    bring_up({.admin = 0x100});
    for (const bool reset : {false, true}) {
        // The device lives longer than this function does.
        fake_->judge([reset, held = std::make_shared<std::atomic<bool>>(false)](
                         std::uint16_t queue, const SubmissionEntry& entry) {
            if (queue == 0) {
                const bool abort = entry.opcode == static_cast<std::uint8_t>(AdminOpcode::abort);
                return abort && reset ? FakeAnswer{.fate = FakeFate::hold} : FakeAnswer{};
            }
            return held->exchange(true) ? FakeAnswer{} : FakeAnswer{.fate = FakeFate::hold};
        });
        for (int i = 0; i < 20; ++i) {
            EXPECT_TRUE(read(0, 8, 10_s)) << log();
        }
        settle();
    }
    EXPECT_EQ(fake_->resets, 1U);
    EXPECT_EQ(fake_->seen(true, static_cast<std::uint8_t>(AdminOpcode::doorbell_buffer)), 2U);
}

TEST_F(NvmeTest, InventedCompletionsAreRefused) {
    bring_up();
    write(0, 8);
    for (const std::uint16_t command : {std::uint16_t{0xffff}, std::uint16_t{0x1234}, std::uint16_t{0}}) {
        fake_->lie(1, command, 0);
    }
    eventually([&] { return disk().counts().refused == 3; });
    EXPECT_EQ(disk().counts().refused, 3U);
    EXPECT_TRUE(read(0, 8, 10_s));
}

}  // namespace
}  // namespace pv::nvme
