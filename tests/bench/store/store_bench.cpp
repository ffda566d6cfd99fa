// How fast events become a finished trace, and a trace a stream of events: beside SQLite's plain insert of
// the rows.
// SPDX-License-Identifier: MIT
#include <cstdlib>

#include "store/trace.hpp"
#include "support/bench.hpp"
#include "support/temporary.hpp"

namespace {

using namespace pv;

trace::Event event_at(std::int64_t i) {
    const auto n = static_cast<std::uint64_t>(i);
    if (i % 4 == 0) {
        return {.time = i * 3,
                .kind = trace::Kind::marker_dma_map,
                .cpu = 1,
                .pc = 0xffff'ffff'8010'1234,
                .args = {0x80, n, 0x1000'0000 + n % 4096 * 4096, 0x1000'0000 + n % 4096 * 4096, 4096, 1}};
    }
    return {.time = i * 3,
            .kind = trace::Kind::mmio_write,
            .cpu = 0,
            .args = {0xfebf'4000 + n % 64 * 4, n & 0xffff, 4, 0x5653'0306'd690, 1}};
}

bool plain_insert(const std::filesystem::path& path, std::int64_t count) {
    std::filesystem::remove(path);
    auto database = store::Database::open(path, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE);
    if (!database->execute(
            "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; CREATE TABLE event (seq INTEGER "
            "PRIMARY KEY, time, kind, cpu, pc, a0, a1, a2, a3, a4, a5); BEGIN")) {
        return false;
    }
    auto insert = database->prepare("INSERT INTO event VALUES (?,?,?,?,?,?,?,?,?,?,?)");
    for (std::int64_t i = 0; i < count; ++i) {
        const trace::Event event = event_at(i);
        insert->bind(1, i + 1).bind(2, event.time).bind(3, std::int64_t{static_cast<int>(event.kind)});
        insert->bind(4, std::int64_t{event.cpu}).bind(5, event.pc);
        for (std::size_t k = 0; k < 6; ++k) {
            insert->bind(static_cast<int>(k) + 6, event.args[k]);
        }
        if (!insert->run()) {
            return false;
        }
    }
    return database->execute("COMMIT").has_value();
}

}  // namespace

int main(int argc, char** argv) {
    const std::int64_t count = argc > 1 ? std::strtoll(argv[1], nullptr, 10) : 1'000'000;
    const test::TemporaryFolder folder;
    std::vector<test::Side> sides;
    sides.push_back({.name = "floor: SQLite, one transaction, no journal, no index",
                     .run = [&] { return plain_insert(folder / "plain.db", count); }});
    sides.push_back({.name = "Writer: append, index, finish", .run = [&] {
                         auto writer = store::Writer::create(folder / "t.db", store::Overwrite::yes);
                         bool good = true;
                         for (std::int64_t i = 0; i < count; ++i) {
                             good = writer->append(event_at(i)) && good;
                         }
                         return good && writer->finish();
                     }});
    sides.push_back({.name = "Trace: stream all events", .run = [&] {
                         auto trace = store::Trace::open(folder / "t.db");
                         std::int64_t seen = 0;
                         return trace->for_each_event({}, [&](const trace::Event& event) {
                             seen += event.args[0] != 0 ? 1 : 0;
                         }) && seen == count;
                     }});
    sides.push_back({.name = "Trace: stream one kind of four", .run = [&] {
                         auto trace = store::Trace::open(folder / "t.db");
                         std::int64_t seen = 0;
                         return trace->for_each_event({.kinds = {trace::Kind::marker_dma_map}},
                                                      [&](const trace::Event&) { ++seen; }) &&
                                seen == (count + 3) / 4;
                     }});
    fmt::print("{} events; goal: 400,000 events/s loaded, indexes built\n", count);
    return test::compare(sides, 5, static_cast<double>(count), "events") ? 0 : 1;
}
