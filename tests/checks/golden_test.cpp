// Golden tests: each log under tests/checks/RULE/ gives exactly the findings its comments expect, under all
// rules.
// SPDX-License-Identifier: MIT
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <compare>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <optional>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "checks/model/devices.hpp"
#include "checks/rule.hpp"
#include "judged_log.hpp"

namespace pv::checks::test {
namespace {

/// `# expect RULE DEVICE ADDRESS LENGTH`: the next line that is no comment breaks RULE there.
struct Expectation {
    std::string rule;
    std::string device;
    std::string address;
    std::string length;
    std::size_t line = 0;

    bool operator==(const Expectation&) const = default;
};

std::ostream& operator<<(std::ostream& out, const Expectation& e) {
    return out << fmt::format("line {}: {} {} {} {}", e.line, e.rule, e.device, e.address, e.length);
}

/// What stands in a log's comments `# WORD ...` behind the word, each with the number of the next line that
/// is no comment.
std::vector<std::pair<std::string, std::size_t>> comments(const std::filesystem::path& path,
                                                          const std::string& word) {
    const std::string beginning = "# " + word + " ";
    std::vector<std::pair<std::string, std::size_t>> found;
    std::size_t waiting = 0;
    std::ifstream file(path);
    std::string line;
    for (std::size_t number = 1; std::getline(file, line); ++number) {
        if (line.starts_with(beginning)) {
            found.emplace_back(line.substr(beginning.size()), 0);
        } else if (!line.starts_with('#')) {
            for (; waiting < found.size(); ++waiting) {
                found[waiting].second = number;
            }
        }
    }
    return found;
}

std::vector<Expectation> expectations(const std::filesystem::path& path) {
    std::vector<Expectation> expected;
    for (const auto& [text, line] : comments(path, "expect")) {
        std::istringstream words(text);
        Expectation& expectation = expected.emplace_back();
        words >> expectation.rule >> expectation.device >> expectation.address >> expectation.length;
        expectation.line = line;
    }
    return expected;
}

/// `# timeline WHAT DEVICE` (`_` for a space): the next line that is no comment gives such an entry.
struct Told {
    std::string what;
    std::string device;
    std::size_t line = 0;

    auto operator<=>(const Told&) const = default;
};

std::ostream& operator<<(std::ostream& out, const Told& told) {
    return out << fmt::format("line {}: {} {}", told.line, told.what, told.device);
}

std::vector<Told> told_in(const std::filesystem::path& path) {
    std::vector<Told> told;
    for (const auto& [text, line] : comments(path, "timeline")) {
        std::istringstream words(text);
        Told& entry = told.emplace_back();
        words >> entry.what >> entry.device;
        entry.line = line;
    }
    return told;
}

std::vector<std::filesystem::path> logs() {
    std::vector<std::filesystem::path> found;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(PV_GOLDEN_DIR)) {
        if (entry.path().extension() == ".log" || entry.path().extension() == ".gz") {
            found.push_back(entry.path());
        }
    }
    std::ranges::sort(found);
    return found;
}

class Golden : public ::testing::TestWithParam<std::filesystem::path> {
  protected:
    void SetUp() override {
        std::string name = (std::filesystem::temp_directory_path() / "pv-golden-XXXXXX").string();
        ASSERT_NE(mkdtemp(name.data()), nullptr);
        folder_ = name;
    }

    void TearDown() override { std::filesystem::remove_all(folder_); }

    JudgedLog judged(RunFacts facts) {
        for (const auto& [outcome, line] : comments(GetParam(), "outcome")) {
            facts.outcome = outcome;
        }
        auto result = judge_log(GetParam(), folder_, facts, {});
        EXPECT_TRUE(result.has_value()) << (result.has_value() ? "" : result.error().message);
        return result.has_value() ? *std::move(result) : JudgedLog{};
    }

    std::filesystem::path folder_;
};

RunFacts two_disks() {
    return {.devices = {{0x80, "disk0", "nvme", ""}, {0x88, "disk1", "virtio-blk", ""}}, .symbols = {}};
}

TEST_P(Golden, FindsWhatItExpectsAndNothingElse) {
    const JudgedLog log = judged(two_disks());
    std::vector<Expectation> expected = expectations(GetParam());
    std::vector<Expectation> found;
    for (const store::Finding& finding : log.findings) {
        found.push_back({finding.rule, finding.bdf ? bdf_text(*finding.bdf) : "-",
                         finding.address ? fmt::format("{:#x}", *finding.address) : "-",
                         finding.length ? fmt::format("{}", *finding.length) : "-",
                         log.lines.at(static_cast<std::size_t>(finding.sequence - 1))});
        // What a log does not say is not compared.
        const auto same = std::ranges::find_if(expected, [&](const Expectation& e) {
            return e.rule == finding.rule && e.line == found.back().line;
        });
        if (same != expected.end()) {
            same->address = same->address == "-" ? found.back().address : same->address;
            same->length = same->length == "-" ? found.back().length : same->length;
        }
        EXPECT_FALSE(finding.events.empty()) << finding.title;
        EXPECT_FALSE(finding.title.empty());
    }
    const auto by_line = [](const Expectation& e) { return std::pair(e.line, e.rule); };
    std::ranges::sort(expected, {}, by_line);
    std::ranges::sort(found, {}, by_line);
    EXPECT_EQ(found, expected);
    EXPECT_EQ(log.statistics.not_understood, 0U);

    const bool breaks = GetParam().filename().string().starts_with("breaks");
    EXPECT_EQ(breaks, !expected.empty()) << "a log called breaks-* expects something, another one nothing";
    const std::string rule = GetParam().parent_path().filename();
    for (const store::RuleResult& result : log.rules) {
        const bool broken =
            std::ranges::any_of(expected, [&](const auto& e) { return e.rule == result.rule; });
        if (broken) {
            EXPECT_EQ(result.outcome, store::Outcome::broken) << result.rule;
        }
        if (result.rule == rule && !broken) {
            EXPECT_EQ(result.outcome, store::Outcome::held) << result.rule << ": " << result.note;
        }
    }
    const bool fails = std::ranges::any_of(
        expected, [](const auto& e) { return find_rule(e.rule)->severity != store::Severity::advice; });
    EXPECT_EQ(log.verdict.verdict == store::VerdictKind::fail, fails) << log.verdict.reason;
}

/// The recorded logs have no comments; their time lines are e2e.debian's.
class GoldenTimeline : public Golden {};

TEST_P(GoldenTimeline, TellsWhatItExpectsAndNothingElse) {
    const JudgedLog log = judged(two_disks());
    std::vector<Told> found;
    for (const store::TimelineEntry& entry : log.timeline) {
        std::string what = entry.what;
        std::ranges::replace(what, ' ', '_');
        found.push_back({what, entry.bdf ? bdf_text(*entry.bdf) : "-",
                         log.lines.at(static_cast<std::size_t>(entry.sequence - 1))});
        EXPECT_FALSE(entry.detail.empty()) << entry.what;
    }
    std::vector<Told> expected = told_in(GetParam());
    std::ranges::sort(found);
    std::ranges::sort(expected);
    EXPECT_EQ(found, expected);
}

std::vector<std::filesystem::path> written_logs() {
    std::vector<std::filesystem::path> written = logs();
    std::erase_if(written, [](const std::filesystem::path& path) { return path.extension() == ".gz"; });
    return written;
}

/// Logs of a guest with markers and two disks.
class GoldenMarked : public Golden {};

TEST_P(GoldenMarked, IsJudgedByEveryRule) {
    for (const store::RuleResult& result : judged(two_disks()).rules) {
        EXPECT_NE(result.outcome, store::Outcome::not_observed) << result.rule << ": " << result.note;
        EXPECT_GT(result.observed, 0U) << result.rule;
    }
}

std::vector<std::filesystem::path> marked_logs() {
    std::vector<std::filesystem::path> marked = logs();
    std::erase_if(marked, [](const std::filesystem::path& path) {
        const std::string name = path.filename();
        return !comments(path, "observed").empty() || name.find("debian") != std::string::npos ||
               name == "clean-no-cache.log" || name == "breaks-never-kicked.log" ||
               (name.starts_with("clean-foreign") && name != "clean-foreign-four-cpus.log" &&
                name != "clean-foreign-marker-before-hello.log");
    });
    return marked;
}

std::string name_of(const ::testing::TestParamInfo<std::filesystem::path>& parameter) {
    std::string name =
        parameter.param.parent_path().filename().string() + "_" + parameter.param.stem().string();
    std::ranges::replace_if(
        name, [](char c) { return std::isalnum(static_cast<unsigned char>(c)) == 0; }, '_');
    return name;
}

INSTANTIATE_TEST_SUITE_P(Logs, Golden, ::testing::ValuesIn(logs()), name_of);
INSTANTIATE_TEST_SUITE_P(Logs, GoldenTimeline, ::testing::ValuesIn(written_logs()), name_of);
INSTANTIATE_TEST_SUITE_P(Logs, GoldenMarked, ::testing::ValuesIn(marked_logs()), name_of);

}  // namespace
}  // namespace pv::checks::test
