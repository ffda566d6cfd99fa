// The views, by golden queries: what documentation promises is what comes out.
// SPDX-License-Identifier: MIT
#include "store/views.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "store/query.hpp"
#include "store/trace.hpp"
#include "support/temporary.hpp"

namespace pv::store {
namespace {

using trace::Event;
using trace::Kind;

class Views : public ::testing::Test {
  protected:
    void SetUp() override {
        Writer writer = *Writer::create(folder_ / "t.db");
        const std::uint64_t region = writer.intern("nvme's \"registers\"");
        const std::uint64_t reason = writer.intern("rejected");
        const std::uint64_t detail = writer.intern("stall disk0 read");
        const std::uint64_t pc = 0xffff'ffff'8010'1234;
        const std::vector<Event> events = {
            {.time = 0, .kind = Kind::mmio_write, .cpu = 1, .args = {0xfebf'4000, ~0ULL, 4, 0x5653, region}},
            {.time = 10, .kind = Kind::mmio_read, .cpu = 0, .args = {0xfebf'401c, 1, 4, 0x5653, region}},
            {.time = 20, .kind = Kind::invalid_access, .args = {0x10, 8, 1, region, reason}},
            {.time = 30,
             .kind = Kind::marker_dma_map,
             .cpu = 0,
             .pc = pc,
             .args = {0x80, 1, 0x1000, 0x1000, 512, 1}},
            {.time = 31,
             .kind = Kind::marker_dma_map,
             .cpu = 0,
             .pc = pc,
             .args = {0x88, 1, 0x3000, 0x3000, 64, 2}},
            {.time = 40, .kind = Kind::dma_access, .args = {0xaa, 0x1000, 512, 0}},
            {.time = 41, .kind = Kind::nvme_map_address, .args = {0x1000, 512}},
            {.time = 50,
             .kind = Kind::marker_dma_unmap,
             .cpu = 1,
             .pc = pc + 8,
             .args = {0x80, 1, 0x1000, 512}},
            {.time = 60, .kind = Kind::fault_begin, .args = {0, 1, 0, 512, detail}},
            {.time = 70, .kind = Kind::fault_end, .args = {0, 1, 0, 512, detail}},
            {.time = 80, .kind = Kind::virtio_kick, .args = {0xabc, 0, 0xdef}},
            {.time = 90, .kind = static_cast<Kind>(4'096 + 0x7f), .cpu = 0, .args = {1, 2, 3, 4, 5, 6}},
        };
        for (const Event& event : events) {
            ASSERT_TRUE(writer.append(event));
        }
        ASSERT_TRUE(writer.add_device({.bdf = 0x80, .name = "disk0", .kind = "nvme", .detail = ""}));
        ASSERT_TRUE(writer.finish());
        Trace trace = *Trace::open(folder_ / "t.db", Trace::Mode::judge);
        ResultsWriter results = *trace.replace_results();
        ASSERT_TRUE(
            results.add(Finding{.rule = "dma-leak", .sequence = 5, .title = "t", .events = {{5, "mapped"}}}));
        ASSERT_TRUE(results.add(Command{.bdf = 0x80,
                                        .queue = 1,
                                        .command = 7,
                                        .operation = "read",
                                        .submitted = 10,
                                        .deadline = 110,
                                        .completed = 35,
                                        .outcome = "completed"}));
        ASSERT_TRUE(results.commit());
    }

    std::string rows(const std::string& sql) {
        Trace trace = *Trace::open(folder_ / "t.db");
        Result<Statement> statement = prepare_query(trace, sql);
        EXPECT_TRUE(statement) << statement.error().message;
        std::string text;
        while (statement && *statement->step()) {
            for (int i = 0; i < statement->columns(); ++i) {
                text += (i == 0 ? "" : "|");
                text += statement->is_null(i) ? "-" : std::string(statement->text(i));
            }
            text += "\n";
        }
        return text;
    }

    test::TemporaryFolder folder_;
};

TEST_F(Views, name_every_argument_of_every_kind) {
    Trace trace = *Trace::open(folder_ / "t.db");
    for (const trace::KindInfo& info : trace::kinds) {
        Statement statement = *trace.prepare(fmt::format("SELECT * FROM {}", info.name));
        ASSERT_EQ(statement.columns(), static_cast<int>(4 + trace::argument_count(info.kind))) << info.name;
        for (std::size_t i = 0; i < trace::argument_count(info.kind); ++i) {
            EXPECT_EQ(sqlite3_column_name(statement.handle(), static_cast<int>(4 + i)),
                      std::string(info.args[i]));
        }
    }
}

TEST_F(Views, can_all_be_read_and_are_the_same_in_the_file) {
    Trace trace = *Trace::open(folder_ / "t.db");
    Database plain = *Database::open(folder_ / "t.db", SQLITE_OPEN_READONLY);  // as sqlite3 opens it
    for (const View& view : views()) {
        EXPECT_FALSE(view.description.empty()) << view.name;
        Statement ours = *trace.prepare("SELECT count(*) FROM " + view.name);
        Statement theirs = *plain.prepare("SELECT count(*) FROM " + view.name);
        ASSERT_TRUE(*ours.step()) << view.name;
        ASSERT_TRUE(*theirs.step()) << view.name;
        EXPECT_EQ(ours.integer(0), theirs.integer(0)) << view.name;
    }
    EXPECT_GT(queryables(trace)->size(), views().size());
}

TEST_F(Views, mmio_shows_both_directions_with_the_regions_name) {
    EXPECT_EQ(rows("SELECT seq, time, cpu, operation, address, value, size, region, region_text FROM mmio "
                   "ORDER BY seq"),
              "1|0|1|write|4273946624|-1|4|22099|nvme's \"registers\"\n"
              "2|10|0|read|4273946652|1|4|22099|nvme's \"registers\"\n");
    EXPECT_EQ(rows("SELECT \"write\", region_text, reason_text FROM invalid_access"),
              "1|nvme's \"registers\"|rejected\n");
}

TEST_F(Views, mapping_pairs_begin_and_end_of_the_same_device) {
    EXPECT_EQ(rows("SELECT bdf, device, mapping, bus, length, direction, mapped_seq, unmapped_seq, "
                   "unmapped_time FROM "
                   "mapping ORDER BY mapped_seq"),
              "128|disk0|1|4096|512|to device|4|8|50\n"
              "136|-|1|12288|64|from device|5|-|-\n");
}

TEST_F(Views, dma_joins_both_sources) {
    EXPECT_EQ(rows("SELECT * FROM dma"),
              "6|40|-|address space|170|4096|512|to device\n7|41|-|nvme|-|4096|512|-\n");
}

TEST_F(Views, event_text_says_everything_in_words) {
    EXPECT_EQ(rows("SELECT name, arguments FROM event_text WHERE seq IN (1, 4, 11, 12)"),
              "mmio_write|address=0xfebf4000 value=0xffffffffffffffff size=4 region=0x5653 region='nvme''s "
              "\"registers\"'\n"
              "marker_dma_map|device=00:10.0 mapping=1 bus=0x1000 physical=0x1000 length=512 direction=1\n"
              "virtio_kick|device=0xabc index=0 queue=0xdef\n"
              "kind 4223|0x1 0x2 0x3 0x4 0x5 0x6\n");
    EXPECT_EQ(rows("SELECT name, arguments FROM marker WHERE seq >= 8"),
              "dma_unmap|device=00:10.0 mapping=1 bus=0x1000 length=512\nmarker 127|-\n");
}

TEST_F(Views, results_are_joined_with_what_they_speak_of) {
    EXPECT_EQ(rows("SELECT rule, seq, role, name, time FROM finding_evidence"),
              "dma-leak|5|mapped|marker_dma_map|31\n");
    EXPECT_EQ(rows("SELECT device, operation, latency, allowed, outcome FROM command_latency"),
              "disk0|read|25|100|completed\n");
    EXPECT_EQ(rows("SELECT seq, end_seq, detail FROM fault"), "9|10|stall disk0 read\n");
}

/// A mapping view that compared every end with every beginning would take hours here.
TEST_F(Views, mapping_takes_no_square_of_the_mappings) {
    Writer writer = *Writer::create(folder_ / "many.db");
    for (std::uint64_t i = 0; i < 200'000; ++i) {
        const bool map = i % 2 == 0;
        ASSERT_TRUE(writer.append({.time = static_cast<std::int64_t>(i),
                                   .kind = map ? Kind::marker_dma_map : Kind::marker_dma_unmap,
                                   .args = {0x80, i / 2, 0x1000, map ? 0x1000U : 512U, 512, 1}}));
    }
    ASSERT_TRUE(writer.finish());
    Trace trace = *Trace::open(folder_ / "many.db");
    int steps = 0;
    sqlite3_progress_handler(
        trace.database().handle(), 1'000'000,
        [](void* count) { return ++*static_cast<int*>(count) > 100 ? 1 : 0; }, &steps);
    Statement statement = *prepare_query(trace, "SELECT count(*), count(unmapped_seq) FROM mapping");
    const Result<bool> row = statement.step();
    ASSERT_TRUE(row) << "more than 100 million steps";
    EXPECT_EQ(statement.integer(0), 100'000);
    EXPECT_EQ(statement.integer(1), 100'000);
}

}  // namespace
}  // namespace pv::store
