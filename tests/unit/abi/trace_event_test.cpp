// The table of events is data for SQL, parser and checks alike: its numbers and names must be unambiguous.
// SPDX-License-Identifier: MIT
#include "paravane/trace_event.hpp"

#include <gtest/gtest.h>

#include <set>
#include <string_view>

namespace {

using namespace pv::trace;

TEST(TraceEvent, NumbersAndNamesAreUnique) {
    std::set<std::int32_t> numbers;
    std::set<std::string_view> names;
    for (const KindInfo& info : kinds) {
        EXPECT_TRUE(numbers.insert(static_cast<std::int32_t>(info.kind)).second) << info.name;
        EXPECT_TRUE(names.insert(info.name).second) << info.name;
    }
}

TEST(TraceEvent, ArgumentsAreNamedWithoutGapsOrRepeats) {
    for (const KindInfo& info : kinds) {
        std::set<std::string_view> seen;
        bool ended = false;
        for (const std::string_view name : info.args) {
            if (name == "_") {
                ended = true;
                continue;
            }
            EXPECT_FALSE(ended) << info.name << ": `" << name << "` after a gap";
            EXPECT_TRUE(seen.insert(name).second) << info.name << ": `" << name << "` twice";
        }
    }
}

TEST(TraceEvent, ArgumentsAreReadByName) {
    Event event{.kind = Kind::marker_dma_map, .args = {0x80, 7, 0x1000, 0x2000, 512, 2}};
    EXPECT_EQ((get<Kind::marker_dma_map, "mapping">(event)), 7U);
    EXPECT_EQ((get<Kind::marker_dma_map, "direction">(event)), 2U);
}

TEST(TraceEvent, MarkersKeepTheirNumbers) {
    EXPECT_EQ(static_cast<int>(Kind::marker_hello), 4097);
    EXPECT_TRUE(is_marker(Kind::marker_wait_end));
    EXPECT_FALSE(is_marker(Kind::lost));
    EXPECT_EQ(find(static_cast<Kind>(99999)), nullptr);
}

}  // namespace
