// Lines typed on the console: answered, or said to be unknown or too long; never more than that.
// SPDX-License-Identifier: MIT
#include "exercise/prompt.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <string>
#include <thread>

#include "hosted/control.hpp"

namespace pv::exercise {
namespace {

class PromptTest : public testing::Test {
  protected:
    void SetUp() override {
        (void)hosted::take_log();
        prompt_ = std::move(
            *Prompt::create([](void* asked) { ++*static_cast<std::atomic<int>*>(asked); }, &asked_));
    }

    /// What is said within 5 s, until `wanted` is among it.
    std::string answer(std::string_view typed, std::string_view wanted) {
        hosted::type(typed);
        std::string said;
        for (int i = 0; i < 5000 && said.find(wanted) == std::string::npos; ++i) {
            for (const auto& line : hosted::take_log()) {
                said += line + "\n";
            }
            std::this_thread::sleep_for(std::chrono::milliseconds(1));
        }
        return said;
    }

    std::atomic<int> asked_ = 0;
    std::unique_ptr<Prompt> prompt_;
};

TEST_F(PromptTest, StatusIsAnswered) {
    const std::string said = answer("status\r\n", "status: dma:");
    EXPECT_NE(said.find("in quarantine"), std::string::npos) << said;
    EXPECT_EQ(asked_, 1);
    EXPECT_EQ(said.find("there is no command"), std::string::npos) << "an empty line is none: " << said;
}

TEST_F(PromptTest, UnknownAndTooLong) {
    EXPECT_NE(answer("reboot\n", "no command").find("no command 'reboot'"), std::string::npos);
    EXPECT_NE(answer(std::string(1000, 's') + "\n", "too long").find("1000 characters"), std::string::npos);
    EXPECT_NE(answer("status\n", "status: dma:").find("status: dma:"), std::string::npos);
}

}  // namespace
}  // namespace pv::exercise
