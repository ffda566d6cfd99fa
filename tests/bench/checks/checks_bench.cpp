// How long the verdict on a trace takes, beside reading its events.
// SPDX-License-Identifier: MIT
#include <cstdlib>
#include <string>
#include <string_view>

#include "capture/parser.hpp"
#include "checks/judge.hpp"
#include "store/trace.hpp"
#include "support/bench.hpp"
#include "support/synthetic_log.hpp"
#include "support/temporary.hpp"

namespace {

using namespace pv;

/// A clean trace of about `count` events; their number, 0 on an error.
std::int64_t write_trace(const std::filesystem::path& path, std::uint64_t count) {
    auto writer = store::Writer::create(path, store::Overwrite::yes);
    if (!writer) {
        return 0;
    }
    capture::Parser parser([&](std::string_view text) { return writer->intern(text); });
    const std::string log = test::synthetic_log(count);
    for (std::string_view rest = log; !rest.empty();) {
        const std::size_t end = rest.find('\n');
        const auto event = parser.feed(rest.substr(0, end));
        if (event && !writer->append(*event)) {
            return 0;
        }
        rest = end == std::string_view::npos ? std::string_view() : rest.substr(end + 1);
    }
    const bool good = writer->set_meta("outcome", "finished") && writer->finish();
    return good ? writer->event_count() : 0;
}

}  // namespace

int main(int argc, char** argv) {
    const std::uint64_t count = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 1'000'000;
    const test::TemporaryFolder folder;
    const std::int64_t events = write_trace(folder / "t.db", count);
    if (events == 0) {
        return 1;
    }
    std::vector<test::Side> sides;
    sides.push_back({.name = "floor: reading every event", .run = [&] {
                         auto trace = store::Trace::open(folder / "t.db");
                         std::int64_t seen = 0;
                         const bool good =
                             trace && trace->for_each_event({}, [&](const trace::Event&) { ++seen; });
                         return good && seen == events;
                     }});
    sides.push_back({.name = "judge: thirteen rules, results written", .run = [&] {
                         auto trace = store::Trace::open(folder / "t.db", store::Trace::Mode::judge);
                         if (!trace) {
                             return false;
                         }
                         const auto verdict = checks::judge(*trace, {});
                         if (verdict && verdict->verdict != store::VerdictKind::pass) {
                             fmt::print("{}\n", verdict->reason);
                         }
                         return verdict && verdict->verdict == store::VerdictKind::pass;
                     }});
    return test::compare(sides, 3, static_cast<double>(events), "events") ? 0 : 1;
}
