// A log through capture, store and checks.
// SPDX-License-Identifier: MIT
#include "judged_log.hpp"

#include <zlib.h>

#include <memory>
#include <optional>

#include "capture/parser.hpp"
#include "store/trace.hpp"

namespace pv::checks::test {
namespace {

struct Close {
    void operator()(gzFile_s* file) const { gzclose(file); }
};

/// Calls line(text) for each line of a plain or compressed file.
template <class Line>
Result<> for_each_line(const std::filesystem::path& path, Line&& line) {
    const std::unique_ptr<gzFile_s, Close> file(gzopen(path.c_str(), "rb"));
    if (file == nullptr) {
        return fail(ExitStatus::usage, "cannot open " + path.string());
    }
    std::string text;
    std::string buffer(65'536, '\0');
    while (gzgets(file.get(), buffer.data(), static_cast<int>(buffer.size())) != nullptr) {
        text += buffer.c_str();
        if (text.ends_with('\n')) {
            text.pop_back();
            PV_TRY(line(text));
            text.clear();
        }
    }
    return text.empty() ? Result<>() : line(text);
}

}  // namespace

Result<JudgedLog> judge_log(const std::filesystem::path& path, const std::filesystem::path& folder,
                            const RunFacts& facts, const Options& options) {
    JudgedLog judged;
    const std::filesystem::path database = folder / "golden.db";
    {
        store::Writer writer = PV_TRY(store::Writer::create(database, store::Overwrite::yes));
        capture::Parser parser([&](std::string_view text) { return writer.intern(text); });
        std::size_t number = 0;
        const auto take = [&](const std::string& line) -> Result<> {
            ++number;
            if (line.starts_with('#')) {
                return {};  // a comment of the test's
            }
            const std::optional<trace::Event> event = parser.feed(line);
            if (event) {
                judged.lines.push_back(number);
                PV_TRY(writer.append(*event));
            }
            return {};
        };
        PV_TRY(for_each_line(path, take));
        judged.statistics = parser.statistics();
        for (const store::Device& device : facts.devices) {
            PV_TRY(writer.add_device(device));
        }
        for (const store::Symbol& symbol : facts.symbols) {
            PV_TRY(writer.add_symbol(symbol));
        }
        PV_TRY(writer.set_meta("outcome", facts.outcome));
        PV_TRY(writer.set_meta("reproduce", "paravane check --golden"));
        PV_TRY(writer.set_meta("lost", std::to_string(judged.statistics.lost)));
        PV_TRY(writer.set_meta("not_understood", std::to_string(judged.statistics.not_understood)));
        PV_TRY(writer.finish());
    }
    store::Trace trace = PV_TRY(store::Trace::open(database, store::Trace::Mode::judge));
    judged.verdict = PV_TRY(judge(trace, options));
    judged.rules = PV_TRY(trace.rule_results());
    judged.findings = PV_TRY(trace.findings());
    judged.commands = PV_TRY(trace.commands());
    judged.timeline = PV_TRY(trace.timeline());
    return judged;
}

}  // namespace pv::checks::test
