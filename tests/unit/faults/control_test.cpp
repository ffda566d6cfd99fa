// The control connection: every answer is one line of JSON, whatever was asked.
// SPDX-License-Identifier: MIT
#include "faults/nbdkit/control.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstring>
#include <string>
#include <thread>

namespace pv::faults::nbdkit {
namespace {

using testing::HasSubstr;

class FaultControl : public testing::Test {
  protected:
    std::string ask(std::string_view line) { return answer(engine, "disk0", line); }

    Engine engine{[](const Event&) {}};
};

TEST_F(FaultControl, AddListRemove) {
    EXPECT_EQ(ask(R"({"id":7,"command":"add","fault":"fail disk0 read 3 EIO"})"),
              R"({"fault":0,"id":7,"ok":true})");
    EXPECT_THAT(ask(R"({"command":"list"})"), HasSubstr(R"("text":"fail disk0 read 3 EIO")"));
    EXPECT_THAT(ask(R"({"command":"stats"})"), HasSubstr(R"("reads":0)"));
    EXPECT_EQ(ask(R"({"command":"release","fault":0})"), R"({"ok":true})");
    EXPECT_EQ(ask(R"({"command":"remove","fault":0})"), R"({"ok":true})");
    EXPECT_THAT(ask(R"({"command":"remove","fault":0})"), HasSubstr("no fault 0"));
    EXPECT_EQ(ask(R"({"command":"release","fault":"all"})"), R"({"ok":true})");
}

TEST_F(FaultControl, RefusesWhatItDoesNotUnderstand) {
    const std::string nested(3'000, '[');
    for (const std::string_view bad :
         {std::string_view{""}, std::string_view{"{"}, std::string_view{"[]"}, std::string_view{"null"},
          std::string_view{R"({"command":5})"}, std::string_view{R"({"command":"explode"})"},
          std::string_view{R"({"command":"add"})"}, std::string_view{R"({"command":"add","fault":[]})"},
          std::string_view{R"({"command":"add","fault":"stall disk1 read"})"},
          std::string_view{R"({"command":"add","fault":"stall disk0 raed"})"},
          std::string_view{R"({"command":"remove"})"}, std::string_view{R"({"command":"remove","fault":-1})"},
          std::string_view{R"({"command":"release","fault":"some"})"}, std::string_view{"\xff\xfe\0", 3},
          std::string_view{"{\"command\":\"\xff\"}"}, std::string_view{nested}}) {
        const std::string answered = ask(bad);
        EXPECT_THAT(answered, HasSubstr(R"("ok":false)")) << bad;
        EXPECT_THAT(answered, HasSubstr(R"("hint":)")) << bad;
        EXPECT_EQ(answered.find('\n'), std::string::npos);
    }
    EXPECT_TRUE(engine.list().empty());
}

TEST_F(FaultControl, PointsAtTheWrongWord) {
    EXPECT_THAT(ask(R"({"command":"add","fault":"stall disk0 raed"})"), HasSubstr("'raed', is no operation"));
}

/// A connection to a served Control, as its owner has it.
class FaultControlServed : public FaultControl {
  protected:
    void SetUp() override {
        std::array<int, 2> pair{};
        ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair.data()), 0);
        ours = pair[0];
        ASSERT_EQ(control.adopt(pair[1]), 0);
        control.start();
        EXPECT_EQ(line(), R"({"event":"ready"})");
    }

    void TearDown() override { close(ours); }

    std::string line() {
        std::string text;
        char c = 0;
        pollfd watched{ours, POLLIN, 0};
        while (poll(&watched, 1, 5'000) == 1 && recv(ours, &c, 1, 0) == 1 && c != '\n') {
            text.push_back(c);
        }
        return text;
    }

    void say(std::string_view text) {
        ASSERT_EQ(send(ours, text.data(), text.size(), MSG_NOSIGNAL), static_cast<ssize_t>(text.size()));
    }

    int ours = -1;
    std::atomic<bool> gone = false;
    Control control{engine, "disk0", [this] { gone = true; }};
};

TEST_F(FaultControlServed, TornAndJoinedLinesAreTheSame) {
    say(R"({"id":1,"comm)");
    say("and\":\"stats\"}\n{\"id\":2,\"command\":\"list\"}\n");
    EXPECT_THAT(line(), HasSubstr(R"("id":1)"));
    EXPECT_THAT(line(), HasSubstr(R"("id":2)"));
}

TEST_F(FaultControlServed, EventsReachTheOwner) {
    control.report({true, 3, 9, {Operation::write, 4096, 512}, "fail disk0 write"});
    EXPECT_EQ(
        line(),
        R"({"event":"begin","fault":3,"length":512,"offset":4096,"operation":"write","request":9,"text":"fail disk0 write"})");
}

TEST_F(FaultControlServed, AnEndlessLineEndsTheConnection) {
    const std::string flood(3 * Control::longest_line, 'x');
    static_cast<void>(send(ours, flood.data(), flood.size(), MSG_NOSIGNAL));
    EXPECT_EQ(line(), "");
    for (int i = 0; i < 500 && !gone; ++i) {
        std::this_thread::sleep_for(std::chrono::milliseconds{10});
    }
    EXPECT_TRUE(gone) << "the owner's connection is closed, which is what ends nbdkit";
}

TEST_F(FaultControlServed, AnOwnerThatLeavesIsNoticed) {
    shutdown(ours, SHUT_RDWR);
    for (int i = 0; i < 500 && !gone; ++i) {
        std::this_thread::sleep_for(std::chrono::milliseconds{10});
    }
    EXPECT_TRUE(gone);
}

TEST_F(FaultControlServed, AClientThatDoesNotReadLosesEventsAndIsTold) {
    // More than the socket and the buffer take.
    for (int i = 0; i < 60'000; ++i) {
        control.report(
            {true, 0, static_cast<std::uint64_t>(i), {Operation::write, 0, 512}, "fail disk0 write"});
    }
    std::uint64_t read = 0;
    std::string last;
    for (std::string text = line(); text.find("\"lost\"") == std::string::npos; text = line()) {
        ASSERT_FALSE(text.empty()) << "the loss was not reported after " << read << " lines";
        ++read;
        control.report({false, 0, 0, {Operation::write, 0, 512}, ""});
    }
    EXPECT_GT(read, 1'000U);
}

TEST_F(FaultControlServed, ListensAtAPathAndRemovesIt) {
    Engine other{[](const Event&) {}};
    const std::string path = testing::TempDir() + "/pv-control-" + std::to_string(getpid());
    {
        Control listening{other, "disk0", [] {}};
        ASSERT_EQ(listening.listen(path), 0);
        listening.start();
        EXPECT_EQ(access(path.c_str(), F_OK), 0);
        Control second{other, "disk0", [] {}};
        EXPECT_EQ(second.listen(path), EADDRINUSE);
    }
    EXPECT_NE(access(path.c_str(), F_OK), 0);
    EXPECT_EQ(control.listen(std::string(200, 'x')), ENAMETOOLONG);
}

}  // namespace
}  // namespace pv::faults::nbdkit
