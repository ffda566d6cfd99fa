// Static objects that their first use makes.
// SPDX-License-Identifier: MIT
#include "task/on_first_use.hpp"

#include <gtest/gtest.h>

#include <boost/intrusive/list.hpp>
#include <cstdint>
#include <type_traits>

#include "task/lock.hpp"

namespace pv::task {
namespace {

/// Counts, and is not to be destroyed; aligned beyond what comes by itself.
struct alignas(64) Counted {
    Counted() { ++made; }

    ~Counted() { ++ended; }

    int value = 7;
    static inline int made = 0;
    static inline int ended = 0;
};

constinit OnFirstUse<Counted> of_the_program;

TEST(OnFirstUse, IsMadeOnceWhenItIsFirstAskedFor) {
    EXPECT_EQ(Counted::made, 0);
    EXPECT_EQ(of_the_program->value, 7);
    EXPECT_EQ(Counted::made, 1);
    of_the_program->value = 8;
    EXPECT_EQ((*of_the_program).value, 8);
    EXPECT_EQ(Counted::made, 1);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(&*of_the_program) % alignof(Counted), 0U);
}

TEST(OnFirstUse, IsNotDestroyed) {
    static_assert(std::is_trivially_destructible_v<OnFirstUse<Counted>>);
    Counted::ended = 0;
    {
        OnFirstUse<Counted> one;
        EXPECT_EQ(one->value, 7);
    }
    EXPECT_EQ(Counted::ended, 0);
}

struct Item : boost::intrusive::list_base_hook<> {};

constinit Guarded<OnFirstUse<boost::intrusive::list<Item>>, Rank::queue> items;

TEST(OnFirstUse, IsSeenAsWhatItHoldsWhenGuarded) {
    Item item;
    items.with([&](boost::intrusive::list<Item>& list) { list.push_back(item); });
    EXPECT_EQ(items.with([](boost::intrusive::list<Item>& list) { return list.size(); }), 1U);
    items.with([](boost::intrusive::list<Item>& list, const Held<Rank::queue>&) { list.clear(); });
}

}  // namespace
}  // namespace pv::task
