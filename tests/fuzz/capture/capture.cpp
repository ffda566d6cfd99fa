// Any bytes through the splitter and the parser: the counts add up, times never go back, and quoting comes
// back whole.
// SPDX-License-Identifier: MIT
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string>

#include "capture/line.hpp"
#include "capture/line_splitter.hpp"
#include "capture/parser.hpp"

namespace {

void require(bool good) {
    if (!good) {
        std::abort();
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace pv;
    std::string last_text;
    capture::Parser parser([&](std::string_view text) {
        last_text = text;
        return std::uint64_t{1};
    });
    capture::LineSplitter splitter(1'000);
    std::int64_t time = 0;
    std::uint64_t lines = 0;
    // The first byte says how the stream is cut into pieces.
    const std::size_t piece = size == 0 ? 1 : 1 + data[0];
    for (std::size_t at = 0; at < size; at += piece) {
        const std::size_t count = std::min(piece, size - at);
        std::memcpy(splitter.room(count).data(), data + at, count);
        splitter.filled(count, [&](std::string_view line, capture::LineSplitter::Whole whole) {
            ++lines;
            if (whole == capture::LineSplitter::Whole::no) {
                parser.refuse(line);
            } else if (const auto event = parser.feed(line)) {
                require(event->time >= time && event->sequence == 0 && event->cpu >= -1);
                time = event->time;
                const auto kind = static_cast<std::int32_t>(event->kind);
                require(trace::find(event->kind) != nullptr ||
                        (kind > trace::marker_base && kind <= 4'096 + 0xffff));
            }
        });
        require(splitter.remainder().size() <= 1'000);
    }
    const capture::Statistics& counts = parser.statistics();
    require(counts.lines == lines && counts.events + counts.ignored + counts.not_understood == lines);
    require(counts.samples.size() <= capture::Parser::max_samples);

    const std::string text = size == 0 ? "" : std::string(data, data + std::min<std::size_t>(size, 1'000));
    const auto event = parser.feed(capture::format_line(
        "paravane_lifecycle", "state " + capture::quote("x") + " detail " + capture::quote(text)));
    require(event && event->kind == trace::Kind::lifecycle && last_text == text);
    return 0;
}
