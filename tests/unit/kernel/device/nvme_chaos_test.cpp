// LEDGER H2, C21: a controller that does everything wrong at random, and a driver that keeps its promises all
// the same.
// SPDX-License-Identifier: MIT
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <random>
#include <vector>

#include "nvme_machine.hpp"

namespace pv::nvme {
namespace {

using namespace literals;

constexpr Duration deadline = 300_ms;
/// What a caller may wait beyond it: the promised slack, and as much again for a host that is busy.
constexpr Duration slack = 1_s;
constexpr std::uint64_t blocks = 8;
constexpr std::uint64_t rooms = 200;  ///< of a thread, each `blocks` blocks, used until a write to it fails

class NvmeChaos : public NvmeMachine, public testing::WithParamInterface<unsigned> {
  protected:
    /// One of a hundred.
    std::uint32_t roll() {
        const std::scoped_lock guard(lock_);
        return static_cast<std::uint32_t>(random_() % 100);
    }

    FakeAnswer misjudge(std::uint16_t queue, const SubmissionEntry& entry) {
        const std::uint32_t luck = roll();
        if (queue != 0) {
            return luck < 3   ? FakeAnswer{.fate = FakeFate::hold}
                   : luck < 4 ? FakeAnswer{.status = 0x281}  // unrecovered read error
                              : FakeAnswer{};
        }
        switch (static_cast<AdminOpcode>(entry.opcode)) {
            case AdminOpcode::abort:
                return luck < 40   ? FakeAnswer{.fate = FakeFate::aborts}
                       : luck < 70 ? FakeAnswer{}
                       : luck < 85 ? FakeAnswer{.status = 0x103}
                                   : FakeAnswer{.fate = FakeFate::hold};
            case AdminOpcode::delete_submission_queue:
                return luck < 10   ? FakeAnswer{.status = 0x006}
                       : luck < 15 ? FakeAnswer{.fate = FakeFate::hold}
                                   : FakeAnswer{};
            default:
                return {};
        }
    }

    void work(unsigned cpu, unsigned number) {
        hosted::run_as_cpu(cpu);
        const std::size_t length = blocks * disk().geometry().block_size;
        for (std::uint64_t room = 0; room < rooms && !stop_; ++room) {
            const std::uint64_t first = (number * rooms + room) * blocks;
            for (std::uint8_t round = 0; round < 30 && !stop_; ++round) {
                const auto byte = static_cast<std::byte>(number * 64 + room + round);
                dma::Pages pages = *dma::Pages::allocate(length);
                std::ranges::fill(pages.bytes(), byte);
                if (!timed([&] { return disk().write(first, {pages, 0, length}, within(deadline)); })) {
                    break;  // what is there now is not defined
                }
                pages = *dma::Pages::allocate(length);
                if (timed([&] { return disk().read(first, {pages, 0, length}, within(deadline)); })) {
                    const auto data = pages.bytes().first(length);
                    wrong_ += std::ranges::all_of(data, [&](std::byte b) { return b == byte; }) ? 0 : 1;
                    ++good_;
                }
            }
        }
    }

    template <class Function>
    bool timed(Function&& function) {
        const Instant begun = now();
        const Result<> result = function();
        late_ += now() - begun > deadline + slack ? 1 : 0;
        if (!result && result.error() != Error::timed_out && result.error() != Error::io &&
            result.error() != Error::interrupted && result.error() != Error::device_failed) {
            ADD_FAILURE() << to_string(result.error());
        }
        return result.has_value();
    }

    std::mutex lock_;
    std::mt19937 random_;
    std::atomic<bool> stop_ = false;
    std::atomic<std::uint64_t> good_ = 0;
    std::atomic<std::uint64_t> wrong_ = 0;
    std::atomic<std::uint64_t> late_ = 0;
};

TEST_P(NvmeChaos, EveryCallEndsInTimeWithRightDataAndNothingIsLeft) {
    random_.seed(GetParam());
    ASSERT_TRUE(hosted::set_cpu_count(3));
    patience_ = {.command = 15_ms, .admin = 80_ms, .abort = 50_ms, .grace = 15_ms, .shutdown = 500_ms};
    bring_up({.admin = static_cast<std::uint16_t>(GetParam() % 2 == 0 ? 0x100 : 0), .size = 8192});
    fake_->judge(
        [this](std::uint16_t queue, const SubmissionEntry& entry) { return misjudge(queue, entry); });
    std::vector<std::thread> threads;
    for (unsigned i = 0; i < 4; ++i) {
        threads.emplace_back([this, i] { work(i % 3, i); });
    }
    const Deadline end = Deadline::after(1500_ms);
    while (!end.expired()) {
        std::this_thread::sleep_for(std::chrono::milliseconds(3));
        const std::uint32_t luck = roll();
        if (luck < 5) {
            fake_->release();
        } else if (luck < 30) {
            // Of a slot no queue has: a lie that hits what is outstanding cannot be told from an answer.
            fake_->lie(static_cast<std::uint16_t>(1 + luck % 3),
                       static_cast<std::uint16_t>(roll() << 8 | 0xff), 0);
        } else if (luck < 31) {
            fake_->fatal = true;
        } else if (luck < 40) {
            fake_->mute = !fake_->mute;
        }
    }
    stop_ = true;
    for (auto& thread : threads) {
        thread.join();
    }
    fake_->mute = false;
    fake_->judge({});
    EXPECT_EQ(wrong_, 0U) << "data that was said to be right was not";
    EXPECT_EQ(late_, 0U) << "a caller waited beyond its deadline";
    EXPECT_GT(good_, 50U) << log();
    settle();
    EXPECT_TRUE(read(0, 8, 5_s)) << "it serves when the faults are over\n" << log();
    // The tear-down sees that no mapping is left.
}

INSTANTIATE_TEST_SUITE_P(Seeds, NvmeChaos, testing::Range(1U, 6U));

}  // namespace
}  // namespace pv::nvme
