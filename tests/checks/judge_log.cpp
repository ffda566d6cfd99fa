// Prints what the rules find in a log, for whoever writes or repairs a golden test: judge-log LOG [RULES]
// SPDX-License-Identifier: MIT
#include <fmt/format.h>

#include <cstdlib>
#include <filesystem>

#include "judged_log.hpp"

int main(int argc, char** argv) {
    if (argc < 2) {
        fmt::print(stderr, "usage: judge-log LOG [RULES]\n");
        return 2;
    }
    std::string folder = (std::filesystem::temp_directory_path() / "judge-log-XXXXXX").string();
    if (mkdtemp(folder.data()) == nullptr) {
        fmt::print(stderr, "judge-log: no temporary folder\n");
        return 2;
    }
    pv::checks::Options options;
    if (argc > 2) {
        options.rules = {argv[2]};
    }
    pv::checks::test::RunFacts facts;
    facts.devices = {{0x80, "disk0", "nvme", ""}, {0x88, "disk1", "virtio-blk", ""}};
    const auto judged = pv::checks::test::judge_log(argv[1], folder, facts, options);
    std::filesystem::remove_all(folder);
    if (!judged.has_value()) {
        fmt::print(stderr, "judge-log: {}\n", judged.error().message);
        return 2;
    }
    fmt::print("{} lines, {} events, {} ignored, {} not understood\n", judged->statistics.lines,
               judged->statistics.events, judged->statistics.ignored, judged->statistics.not_understood);
    for (const std::string& sample : judged->statistics.samples) {
        fmt::print("  not understood: {}\n", sample);
    }
    for (const auto& rule : judged->rules) {
        fmt::print("{:22} {:12} {} {}{}{}\n", rule.rule, pv::store::to_string(rule.outcome), rule.observed,
                   rule.unit, rule.note.empty() ? "" : "; ", rule.note);
    }
    for (const auto& finding : judged->findings) {
        fmt::print("\n{}: {} (event {}, line {})\n{}\n", finding.rule, finding.title, finding.sequence,
                   judged->lines.at(static_cast<std::size_t>(finding.sequence - 1)), finding.detail);
        for (const auto& event : finding.events) {
            fmt::print("  line {}: {}\n", judged->lines.at(static_cast<std::size_t>(event.sequence - 1)),
                       event.role);
        }
    }
    for (const auto& entry : judged->timeline) {
        fmt::print("{:.6f} {:#x} {}: {}\n", static_cast<double>(entry.time) / 1e6,
                   entry.bdf.value_or(0xffffffff), entry.what, entry.detail);
    }
    std::size_t open = 0;
    for (const auto& command : judged->commands) {
        open += command.outcome != "completed" ? 1U : 0U;
    }
    fmt::print("{} commands, {} not completed; {}: {}\n", judged->commands.size(), open,
               pv::store::to_string(judged->verdict.verdict), judged->verdict.reason);
    return 0;
}
