// How fast a log becomes rows: the floor is reading its lines; then parsing; then all of capture, to a
// finished trace.
// SPDX-License-Identifier: MIT
#include <fcntl.h>

#include <chrono>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>

#include "capture/parser.hpp"
#include "capture/session.hpp"
#include "store/trace.hpp"
#include "support/bench.hpp"
#include "support/synthetic_log.hpp"
#include "support/temporary.hpp"

namespace {

using namespace pv;

template <class OnLine>
void for_each_line(const std::string& log, OnLine&& on_line) {
    for (std::size_t at = 0; at < log.size();) {
        const std::size_t end = log.find('\n', at);
        on_line(std::string_view(log).substr(at, end - at));
        at = end + 1;
    }
}

}  // namespace

int main(int argc, char** argv) {
    const std::uint64_t wanted = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 1'000'000;
    const test::TemporaryFolder folder;
    const std::string path = folder / "log";
    const std::uint64_t lines = test::write_synthetic_log(path, wanted);

    std::vector<test::Side> sides;
    sides.push_back({.name = "floor: read the file and count its lines", .run = [&] {
                         std::ifstream file(path, std::ios::binary);
                         std::string text;
                         std::uint64_t count = 0;
                         while (std::getline(file, text)) {
                             ++count;
                         }
                         return count == lines;
                     }});
    std::string log;
    {
        std::ifstream file(path, std::ios::binary);
        log.assign(std::istreambuf_iterator<char>(file), {});
    }
    sides.push_back({.name = "parse (from memory, nothing stored)", .run = [&] {
                         capture::Parser parser([](std::string_view) { return 1; });
                         std::uint64_t count = 0;
                         for_each_line(log,
                                       [&](std::string_view line) { count += parser.feed(line) ? 1U : 0U; });
                         return count == lines;
                     }});
    sides.push_back(
        {.name = "capture: read, parse, store, index", .run = [&] {
             const auto target = folder / "t.db";
             auto writer = store::Writer::create(target, store::Overwrite::yes);
             auto session = capture::Session::start(::open(path.c_str(), O_RDONLY | O_CLOEXEC), *writer);
             const auto counts = (*session)->join(std::chrono::minutes(5));
             return counts && counts->is_complete() && counts->events == lines && writer->finish();
         }});
    fmt::print("{} lines, {:.1f} MB; goal: 400,000 lines/s\n", lines, static_cast<double>(log.size()) / 1e6);
    return test::compare(sides, 5, static_cast<double>(lines), "lines") ? 0 : 1;
}
