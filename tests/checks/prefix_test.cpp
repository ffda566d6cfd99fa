// A clean run that is cut off anywhere, also in the middle of a line, breaks no rule and is no pass either.
// SPDX-License-Identifier: MIT
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "judged_log.hpp"

namespace pv::checks::test {
namespace {

class Prefix : public ::testing::Test {
  protected:
    void SetUp() override {
        std::string name = (std::filesystem::temp_directory_path() / "pv-prefix-XXXXXX").string();
        ASSERT_NE(mkdtemp(name.data()), nullptr);
        folder_ = name;
    }

    void TearDown() override { std::filesystem::remove_all(folder_); }

    /// Judges `text` as what is left of a run that was cut off.
    JudgedLog judged(const std::string& text) {
        const std::filesystem::path path = folder_ / "cut.log";
        std::ofstream(path, std::ios::binary) << text;
        const RunFacts facts = {.devices = {{0x80, "disk0", "nvme", ""}, {0x88, "disk1", "virtio-blk", ""}},
                                .symbols = {},
                                .outcome = "killed"};
        auto result = judge_log(path, folder_, facts, {});
        EXPECT_TRUE(result.has_value()) << (result.has_value() ? "" : result.error().message);
        return result.has_value() ? *std::move(result) : JudgedLog{};
    }

    std::filesystem::path folder_;
};

std::string clean_log() {
    std::ifstream file(std::filesystem::path(PV_GOLDEN_DIR) / "all" / "clean.log", std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
}

TEST_F(Prefix, OfACleanRunBreaksNothingAndIsNoPass) {
    const std::string whole = clean_log();
    ASSERT_GT(whole.size(), 10'000U);
    constexpr std::size_t cuts = 60;
    for (std::size_t cut = 0; cut < cuts; ++cut) {
        const std::size_t length = whole.size() * cut / cuts;
        const JudgedLog log = judged(whole.substr(0, length));
        EXPECT_EQ(log.verdict.verdict, store::VerdictKind::incomplete)
            << "the first " << length << " bytes: " << log.verdict.reason;
        EXPECT_LE(log.statistics.not_understood, 1U);  // the line that was cut
        for (const store::Finding& finding : log.findings) {
            ADD_FAILURE() << "the first " << length << " bytes: " << finding.rule << ": " << finding.title;
        }
    }
}

TEST_F(Prefix, MarkersOfAnotherVersionAreSaidToBe) {
    const JudgedLog log =
        judged("501@1795231757.000010:paravane_marker_refused cpu 0 pc 0xffffffff80100000 version 0x20000\n");
    EXPECT_EQ(log.verdict.verdict, store::VerdictKind::incomplete);
    std::size_t said = 0;
    for (const store::RuleResult& rule : log.rules) {
        EXPECT_EQ(rule.outcome, store::Outcome::not_observed) << rule.rule;
        said += rule.note.find("a version that the plugin does not know") != std::string::npos ? 1U : 0U;
    }
    EXPECT_GE(said, 5U);
}

}  // namespace
}  // namespace pv::checks::test
