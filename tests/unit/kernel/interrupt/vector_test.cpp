// Interrupt vectors of several CPUs: whose handler runs where, how they spread, how they end.
// SPDX-License-Identifier: MIT
#include "interrupt/vector.hpp"

#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <set>
#include <thread>
#include <vector>

#include "arch/processor.hpp"
#include "hosted/control.hpp"

namespace pv::interrupt {
namespace {

class VectorTest : public testing::Test {
  protected:
    void SetUp() override { ASSERT_TRUE(hosted::set_cpu_count(4)); }

    void TearDown() override { ASSERT_TRUE(hosted::set_cpu_count(1)); }
};

TEST_F(VectorTest, HandlerRunsOnTheCpuItWasAskedFor) {
    unsigned ran_on = ~0U;
    auto vector = Vector::allocate(
        "test", [](void* on) { *static_cast<unsigned*>(on) = arch::current_cpu(); }, &ran_on, 2);
    ASSERT_TRUE(vector);
    EXPECT_EQ(vector->cpu(), 2U);
    hosted::raise(vector->message());
    EXPECT_EQ(ran_on, 2U);
    EXPECT_EQ(vector->count(), 1U);
}

TEST_F(VectorTest, EachCpuHasAllVectorsOfItsOwn) {
    std::array<std::vector<Vector>, 2> all;
    for (unsigned cpu = 0; cpu < all.size(); ++cpu) {
        while (true) {
            auto vector = Vector::allocate("test", [](void*) {}, nullptr, cpu);
            if (!vector) {
                EXPECT_EQ(vector.error(), Error::no_space);
                break;
            }
            all[cpu].push_back(std::move(*vector));
        }
    }
    EXPECT_GT(all[0].size(), 100U);
    EXPECT_EQ(all[0].size(), all[1].size());
}

TEST_F(VectorTest, AnyCpuSpreads) {
    std::vector<Vector> vectors;
    std::set<unsigned> used;
    for (int i = 0; i < 4; ++i) {
        auto vector = Vector::allocate("test", [](void*) {}, nullptr);
        ASSERT_TRUE(vector);
        used.insert(vector->cpu());
        vectors.push_back(std::move(*vector));
    }
    EXPECT_EQ(used.size(), 4U);
}

TEST_F(VectorTest, RefusesCpusThatAreNotThere) {
    EXPECT_EQ(Vector::allocate("test", [](void*) {}, nullptr, 4).error(), Error::invalid_argument);
    EXPECT_EQ(
        Vector::allocate("test", [](void*) {}, nullptr, arch::cpus_max).error(), Error::invalid_argument);
}

TEST_F(VectorTest, EndWaitsForTheHandlerOnAnotherCpu) {
    struct Shared {
        std::atomic<bool> begun{false};
        std::atomic<bool> go_on{false};
        std::atomic<bool> done{false};
    } shared;

    auto vector = Vector::allocate(
        "test",
        [](void* argument) {
            auto& s = *static_cast<Shared*>(argument);
            s.begun = true;
            while (!s.go_on) {
                std::this_thread::yield();
            }
            std::this_thread::sleep_for(std::chrono::milliseconds(20));
            s.done = true;
        },
        &shared, 1);
    ASSERT_TRUE(vector);
    std::thread device([message = vector->message()] { hosted::raise(message); });
    while (!shared.begun) {
        std::this_thread::yield();
    }
    shared.go_on = true;
    *vector = {};  // swaps: the temporary ends it
    EXPECT_TRUE(shared.done);
    device.join();
}

}  // namespace
}  // namespace pv::interrupt
