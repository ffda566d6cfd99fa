// Reading: filters, results that replace each other whole, and files from elsewhere that lie.
// SPDX-License-Identifier: MIT
#include "store/trace.hpp"

#include <gtest/gtest.h>

#include <array>
#include <fstream>

#include "store/query.hpp"
#include "store/schema.hpp"
#include "support/temporary.hpp"

namespace pv::store {
namespace {

using trace::Event;
using trace::Kind;

/// A small finished trace at `path`.
void make_trace(const std::filesystem::path& path) {
    Writer writer = *Writer::create(path);
    for (int i = 0; i < 100; ++i) {
        const Kind kind =
            std::array{Kind::mmio_read, Kind::mmio_write, Kind::nvme_flush}[static_cast<std::size_t>(i % 3)];
        ASSERT_TRUE(
            writer.append({.time = i, .kind = kind, .cpu = 0, .args = {static_cast<std::uint64_t>(i)}}));
    }
    ASSERT_TRUE(writer.add_device({.bdf = 0x80, .name = "disk0", .kind = "nvme", .detail = ""}));
    ASSERT_TRUE(writer.add_symbol({.address = 0xffff'ffff'8000'0000, .size = 0x100, .name = "start"}));
    ASSERT_TRUE(writer.add_symbol({.address = 0xffff'ffff'8000'0100, .size = 0, .name = "unsized"}));
    ASSERT_TRUE(writer.set_meta("guest", "test"));
    ASSERT_TRUE(writer.finish());
}

/// Runs `sql` on the file as anybody with sqlite3 could.
void tamper(const std::filesystem::path& path, const std::string& sql) {
    Database database = *Database::open(path, SQLITE_OPEN_READWRITE);
    const Result<> done = database.execute(sql);
    ASSERT_TRUE(done) << done.error().message;
}

std::vector<std::int64_t> sequences(Trace& trace, const EventFilter& filter) {
    std::vector<std::int64_t> found;
    EXPECT_TRUE(trace.for_each_event(filter, [&](const Event& event) { found.push_back(event.sequence); }));
    return found;
}

TEST(Trace, streams_ranges_and_kinds_in_order) {
    const test::TemporaryFolder folder;
    make_trace(folder / "t.db");
    Trace trace = *Trace::open(folder / "t.db");
    EXPECT_EQ(sequences(trace, {}).size(), 100U);
    EXPECT_EQ(sequences(trace, {.from = 10, .to = 12, .kinds = {}}), (std::vector<std::int64_t>{10, 11, 12}));
    EXPECT_EQ(sequences(trace, {.from = 1, .to = 9, .kinds = {Kind::mmio_write}}),
              (std::vector<std::int64_t>{2, 5, 8}));
    EXPECT_EQ(sequences(trace, {.from = 1, .to = 6, .kinds = {Kind::nvme_flush, Kind::mmio_read}}),
              (std::vector<std::int64_t>{1, 3, 4, 6}));
    EXPECT_EQ((*trace.event(7))->args[0], 6U);
    EXPECT_FALSE(*trace.event(101));

    int seen = 0;
    ASSERT_TRUE(trace.for_each_event({}, [&](const Event&) { return ++seen < 5; }));
    EXPECT_EQ(seen, 5);
    const Result<> failed =
        trace.for_each_event({}, [](const Event&) -> Result<> { return fail(ExitStatus::usage, "enough"); });
    ASSERT_FALSE(failed);
    EXPECT_EQ(failed.error().message, "enough");
}

TEST(Trace, finds_symbols_by_what_they_cover) {
    const test::TemporaryFolder folder;
    make_trace(folder / "t.db");
    Trace trace = *Trace::open(folder / "t.db");
    EXPECT_EQ((*trace.symbol(0xffff'ffff'8000'00ff, 1))->name, "start");
    EXPECT_EQ((*trace.symbol(0xffff'ffff'8000'0180, 1))->name, "unsized");
    EXPECT_FALSE(*trace.symbol(0xffff'ffff'9000'0000, 1));
    EXPECT_FALSE(*trace.symbol(0x1000, 1));
    EXPECT_FALSE(*trace.symbol(0xffff'ffff'7fff'ffff, 1));
    EXPECT_EQ(trace.devices()->at(0).name, "disk0");
    EXPECT_EQ(trace.meta()->at("guest"), "test");
}

TEST(Trace, finds_symbols_where_a_kernel_moved_itself_to) {
    constexpr std::uint64_t start = 0xffff'ffff'8000'0000;
    const test::TemporaryFolder folder;
    {
        Writer writer = *Writer::create(folder / "t.db");
        ASSERT_TRUE(writer.add_symbol({.address = start, .size = 0x100, .name = "start"}));
        const auto hello = [&](std::uint64_t slide) {
            return writer.append({.kind = Kind::marker_hello, .args = {0x10004, 0, 0, 0, slide, 0}});
        };
        ASSERT_TRUE(writer.append({.kind = Kind::cpu_start}));
        ASSERT_TRUE(hello(0x20'0000));                                              // 2
        ASSERT_TRUE(hello(0));                                                      // 3: another boot
        ASSERT_TRUE(writer.append({.kind = Kind::profile, .args = {0x9c0'0000}}));  // 4
        ASSERT_TRUE(hello(0));                                                      // 5: says nothing
        ASSERT_TRUE(hello(0));                                                      // 6: another boot
        ASSERT_TRUE(writer.finish());
    }
    Trace trace = *Trace::open(folder / "t.db");
    const std::uint64_t slides[] = {0, 0x20'0000, 0, 0x9c0'0000, 0x9c0'0000, 0, 0};
    for (std::int64_t sequence = 1; sequence <= 7; ++sequence) {
        const std::uint64_t slide = slides[sequence - 1];
        const auto symbol = *trace.symbol(start + slide + 0x42, sequence);
        ASSERT_TRUE(symbol) << sequence;
        EXPECT_EQ(symbol->address, start + slide) << sequence;
        EXPECT_FALSE(*trace.symbol(start + slide + 0x100, sequence)) << sequence;
    }
}

void write_results(Trace& trace, const char* title, bool commit) {
    ResultsWriter results = *trace.replace_results();
    ASSERT_TRUE(results.add(RuleResult{"dma-leak", Outcome::broken, 7, "mappings", 1, "M", "a note"}));
    const Finding finding{.rule = "dma-leak",
                          .severity = Severity::warning,
                          .sequence = 5,
                          .time = 4,
                          .cpu = 1,
                          .pc = ~0ULL,
                          .bdf = 0x80,
                          .address = 0xffff'0000'0000'0000,
                          .length = 512,
                          .title = title,
                          .detail = "line\nline",
                          .events = {{3, "mapped"}, {5, "access"}}};
    ASSERT_EQ(*results.add(finding), 1);
    ASSERT_TRUE(results.add(Command{.bdf = 0x80,
                                    .queue = 1,
                                    .command = 7,
                                    .operation = "read",
                                    .bytes = 512,
                                    .submitted = 10,
                                    .deadline = 20,
                                    .completed = 15,
                                    .outcome = "completed"}));
    ASSERT_TRUE(results.add(TimelineEntry{5, 4, 0x80, "reset", "because"}));
    ASSERT_TRUE(results.set(Verdict{VerdictKind::fail, 1, title}));
    // Streaming and writing go together.
    int seen = 0;
    ASSERT_TRUE(trace.for_each_event({}, [&](const Event&) -> Result<> {
        ++seen;
        PV_TRY(results.add(TimelineEntry{seen, seen, std::nullopt, "tick", ""}));
        return {};
    }));
    ASSERT_EQ(seen, 100);
    if (commit) {
        ASSERT_TRUE(results.commit());
    }
}

TEST(Trace, replaces_results_whole_or_not_at_all) {
    const test::TemporaryFolder folder;
    make_trace(folder / "t.db");
    Trace trace = *Trace::open(folder / "t.db", Trace::Mode::judge);
    EXPECT_FALSE(*trace.verdict());
    write_results(trace, "first", true);
    EXPECT_EQ((*trace.verdict())->reason, "first");
    write_results(trace, "given up", false);
    EXPECT_EQ((*trace.verdict())->reason, "first");
    EXPECT_EQ(trace.findings()->at(0).title, "first");
    write_results(trace, "second", true);
    EXPECT_EQ((*trace.verdict())->reason, "second");
    EXPECT_EQ(*trace.finding_count(), 1);

    const Finding finding = trace.findings()->at(0);
    EXPECT_EQ(finding.severity, Severity::warning);
    EXPECT_EQ(finding.pc, ~0ULL);
    EXPECT_EQ(finding.address, 0xffff'0000'0000'0000);
    ASSERT_EQ(finding.events.size(), 2U);
    EXPECT_EQ(finding.events[1].role, "access");
    const RuleResult rule = trace.rule_results()->at(0);
    EXPECT_EQ(rule.outcome, Outcome::broken);
    EXPECT_EQ(rule.observed, 7U);
    const Command command = trace.commands()->at(0);
    EXPECT_EQ(command.completed, 15);
    EXPECT_FALSE(command.timed_out);
    EXPECT_EQ(trace.timeline()->size(), 101U);

    Trace reader = *Trace::open(folder / "t.db");
    EXPECT_FALSE(reader.replace_results());
    EXPECT_EQ((*reader.verdict())->reason, "second");
}

TEST(Trace, refuses_what_is_no_trace_and_says_why) {
    const test::TemporaryFolder folder;
    const auto refused = [&](const char* name, const char* word) {
        const Result<Trace> trace = Trace::open(folder / name);
        ASSERT_FALSE(trace) << name;
        EXPECT_NE(trace.error().message.find(word), std::string::npos) << trace.error().message;
        EXPECT_FALSE(trace.error().hint.empty()) << name;
        EXPECT_EQ(trace.error().status, ExitStatus::usage);
    };
    refused("missing", "there is no trace");
    std::ofstream(folder / "text") << std::string(5'000, 'x');
    refused("text", "not a trace");
    std::ofstream(folder / "empty").flush();
    refused("empty", "not a trace");
    std::filesystem::create_directory(folder / "folder");
    refused("folder", "not a file");

    {
        ASSERT_TRUE(Database::open(folder / "other.db", SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE)
                        ->execute("CREATE TABLE event (x)"));
    }
    refused("other.db", "not a trace");
    const auto tampered = [&](const char* name, const std::string& sql, const char* word) {
        make_trace(folder / name);
        tamper(folder / name, sql);
        refused(name, word);
    };
    tampered("newer.db", "PRAGMA user_version = 131072", "version 2.0");
    tampered("older.db", "PRAGMA user_version = 5", "version 0.5");
    tampered("trigger.db", "CREATE TRIGGER t AFTER DELETE ON verdict BEGIN DELETE FROM event; END",
             "trigger");
    tampered("virtual.db", "CREATE VIRTUAL TABLE v USING fts5(x)", "virtual");
    tampered("dropped.db", "DROP TABLE command", "command is missing");
    tampered("changed.db", "ALTER TABLE finding ADD COLUMN x", "finding is another one");
    tampered("wal.db", "PRAGMA journal_mode = WAL", "not a trace");
}

TEST(Trace, accepts_a_newer_minor_version_that_only_adds) {
    const test::TemporaryFolder folder;
    make_trace(folder / "t.db");
    tamper(folder / "t.db",
           "ALTER TABLE finding ADD COLUMN x DEFAULT 0; CREATE TABLE more (x); PRAGMA user_version = 65545;");
    const Result<Trace> trace = Trace::open(folder / "t.db");
    ASSERT_TRUE(trace) << trace.error().message;
    EXPECT_EQ(trace->schema_minor(), 9);
    make_trace(folder / "u.db");
    tamper(folder / "u.db", "ALTER TABLE finding RENAME COLUMN title TO x; PRAGMA user_version = 65545;");
    EXPECT_FALSE(Trace::open(folder / "u.db"));
}

TEST(Trace, takes_damaged_rows_for_an_error_and_not_for_a_value) {
    const test::TemporaryFolder folder;
    int number = 0;
    const auto damaged = [&](const std::string& sql, auto&& read) {
        const std::string name = std::to_string(++number);
        make_trace(folder / name.c_str());
        tamper(folder / name.c_str(), sql);
        Trace trace = *Trace::open(folder / name.c_str());
        EXPECT_FALSE(read(trace)) << sql;
    };
    const auto stream = [](Trace& trace) {
        return trace.for_each_event({}, [](const Event&) {}).has_value();
    };
    damaged("UPDATE event SET kind = 4294967297 WHERE seq = 50", stream);
    damaged("UPDATE event SET kind = -1 WHERE seq = 50", stream);
    damaged("UPDATE event SET cpu = 99999999999 WHERE seq = 50", stream);
    damaged("UPDATE event SET time = -5 WHERE seq = 50", stream);
    damaged("INSERT INTO verdict VALUES ('splendid', 0, '')",
            [](Trace& trace) { return trace.verdict().has_value(); });
    damaged("INSERT INTO verdict VALUES ('pass', 4711, '')",
            [](Trace& trace) { return trace.verdict().has_value(); });
    damaged("INSERT INTO rule_result VALUES ('r', 'fine', 0, '', 0, '', '')",
            [](Trace& trace) { return trace.rule_results().has_value(); });
    damaged("INSERT INTO command VALUES (1, NULL, -1, 0, '', NULL, NULL, 0, NULL, NULL, NULL, NULL, '')",
            [](Trace& trace) { return trace.commands().has_value(); });
    damaged("INSERT INTO device VALUES (-1, 'x', 'y', 'z')",
            [](Trace& trace) { return trace.devices().has_value(); });
}

TEST(Trace, survives_every_flipped_page) {
    const test::TemporaryFolder folder;
    make_trace(folder / "t.db");
    std::ifstream file(folder / "t.db", std::ios::binary);
    const std::string whole((std::istreambuf_iterator<char>(file)), {});
    int refused = 0;
    for (std::size_t at = 100; at < whole.size(); at += 2'503) {
        std::string bytes = whole;
        for (std::size_t i = at; i < std::min(at + 24, bytes.size()); ++i) {
            bytes[i] = static_cast<char>(~bytes[i]);
        }
        std::ofstream(folder / "bad.db", std::ios::binary | std::ios::trunc) << bytes;
        Result<Trace> trace = Trace::open(folder / "bad.db");
        const bool read =
            trace && trace->for_each_event({}, [](const Event&) {}) && trace->findings() && trace->meta();
        refused += read ? 0 : 1;
    }
    EXPECT_GT(refused, 0);  // and none of them crashed, which is the point
}

TEST(Trace, does_not_trust_the_views_of_the_file) {
    const test::TemporaryFolder folder;
    make_trace(folder / "t.db");
    tamper(folder / "t.db",
           "DROP VIEW mmio_read; CREATE VIEW mmio_read AS SELECT 'lie' AS seq, 0 AS time; CREATE VIEW evil "
           "AS SELECT 'lie'");
    Trace trace = *Trace::open(folder / "t.db");
    Statement count = *trace.prepare("SELECT count(*), max(typeof(seq)) FROM mmio_read");
    ASSERT_TRUE(*count.step());
    EXPECT_EQ(count.integer(0), 34);
    EXPECT_EQ(count.text(1), "integer");
    EXPECT_FALSE(prepare_query(trace, "SELECT * FROM evil"));
}

TEST(Trace, lets_a_query_read_and_do_nothing_else) {
    const test::TemporaryFolder folder;
    make_trace(folder / "t.db");
    Trace trace = *Trace::open(folder / "t.db");
    const std::string attach = "ATTACH '" + (folder / "new.db").string() + "' AS x";
    for (const std::string& sql :
         {std::string("DELETE FROM event"), std::string("UPDATE meta SET value = 1"),
          std::string("DROP TABLE event"), std::string("CREATE TEMP TABLE x (y)"),
          std::string("PRAGMA user_version = 1"), std::string("BEGIN"),
          std::string("SELECT load_extension('x')"), std::string("SELECT 1; DELETE FROM event"),
          std::string(""), std::string(" ; -- nothing"), std::string("/*"), attach,
          std::string("VACUUM INTO '/tmp/pv-never'"), std::string("SELECT 1\0", 9),
          std::string("SELECT * FROM nothing")}) {
        const Result<Statement> statement = prepare_query(trace, sql);
        EXPECT_FALSE(statement) << sql;
    }
    EXPECT_FALSE(std::filesystem::exists(folder / "new.db"));
    EXPECT_TRUE(prepare_query(trace, "SELECT 1; -- one statement ;\n /* and a comment */"));
    EXPECT_TRUE(prepare_query(trace, "WITH a AS (SELECT seq FROM event) SELECT count(*) FROM a"));
    EXPECT_TRUE(prepare_query(trace, "EXPLAIN QUERY PLAN SELECT * FROM event"));
    const Result<Statement> typo = prepare_query(trace, "SELECT * FROM mmio_raed");
    ASSERT_FALSE(typo);
    EXPECT_NE(typo.error().hint.find("mmio_read"), std::string::npos);
    EXPECT_EQ(*Trace::open(folder / "t.db")->meta("guest"), "test");
}

}  // namespace
}  // namespace pv::store
