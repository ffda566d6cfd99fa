// The QMP client against a QEMU played by the test, hostile lines included.
// SPDX-License-Identifier: MIT
#include "domain/monitor.hpp"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <nlohmann/json.hpp>
#include <thread>

namespace pv::domain {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;

class FakeQemu {
  public:
    FakeQemu() {
        int ends[2] = {-1, -1};
        EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
        tool_.reset(ends[0]);
        qemu_.reset(ends[1]);
    }

    Descriptor take() { return std::move(tool_); }

    void say(const std::string& line) const {
        EXPECT_EQ(::send(qemu_.get(), (line + "\n").data(), line.size() + 1, MSG_NOSIGNAL),
                  static_cast<ssize_t>(line.size() + 1));
    }

    json hear() {
        char byte = 0;
        std::string line;
        while (::read(qemu_.get(), &byte, 1) == 1 && byte != '\n') {
            line += byte;
        }
        return json::parse(line, nullptr, false);
    }

    void answer(const json& command, const json& result) const {
        say(json{{"return", result}, {"id", command["id"]}}.dump());
    }

    void close() { qemu_.reset(); }

  private:
    Descriptor tool_;
    Descriptor qemu_;
};

TEST(Monitor, yanks_nbd_nodes_out_of_band_and_hears_events) {
    FakeQemu qemu;
    json yanked;
    std::thread script([&] {
        qemu.say("not json");
        qemu.say(R"({"QMP":{"capabilities":["oob"]}})");
        json command = qemu.hear();
        EXPECT_EQ(command["arguments"]["enable"], json::array({"oob"}));
        qemu.answer(command, json::object());
        qemu.say(R"({"event":"BLOCK_IO_ERROR","data":{"nospace":true}})");
        qemu.say(R"({"event":"SHUTDOWN","data":{"reason":"guest-shutdown"}})");
        qemu.say(R"({"event":"SHUTDOWN","data":{"reason":"host-signal"}})");
        qemu.say(R"({"event":7,"data":[1]})");
        command = qemu.hear();
        EXPECT_EQ(command["exec-oob"], "query-yank");
        qemu.answer(command,
                    json::parse(R"([{"type":"chardev","id":"x"},{"type":"block-node","node-name":"n"}])"));
        yanked = qemu.hear();
        qemu.answer(yanked, json::object());
        qemu.close();
    });
    const auto monitor = Monitor::attach(qemu.take(), 5s, {});
    ASSERT_TRUE(monitor.has_value()) << monitor.error().message;
    EXPECT_EQ((*monitor)->yank_disks(5s).value(), 1U);
    script.join();
    EXPECT_EQ(yanked["exec-oob"], "yank");
    EXPECT_EQ(yanked["arguments"]["instances"].size(), 1U);
    EXPECT_TRUE((*monitor)->wait_closed(5s));
    EXPECT_EQ((*monitor)->facts().shutdown_reason, "guest-shutdown");
    EXPECT_TRUE((*monitor)->facts().no_space);
}

TEST(Monitor, silence_ends_at_the_deadline) {
    FakeQemu qemu;
    const auto begin = std::chrono::steady_clock::now();
    EXPECT_FALSE(Monitor::attach(qemu.take(), 100ms, {}).has_value());
    EXPECT_LT(std::chrono::steady_clock::now() - begin, 5s);
}

}  // namespace
}  // namespace pv::domain
