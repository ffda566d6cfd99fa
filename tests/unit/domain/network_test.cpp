// --net: what it understands, and what it refuses with a hint.
// SPDX-License-Identifier: MIT
#include "domain/network.hpp"

#include <gtest/gtest.h>

#include <string>

namespace pv::domain {
namespace {

TEST(ParseNetwork, understands_every_kind) {
    EXPECT_EQ(parse_network("user").value().kind, NetworkKind::user);
    const Network forwarding = parse_network("user,hostfwd=tcp:5007:7,hostfwd=udp:65535:9").value();
    ASSERT_EQ(forwarding.forwards.size(), 2U);
    EXPECT_EQ(forwarding.forwards[0], (PortForward{true, 5007, 7}));
    EXPECT_EQ(forwarding.forwards[1], (PortForward{false, 65'535, 9}));
    const Network listening = parse_network("listen:/x/a,,b").value();
    EXPECT_EQ(listening.kind, NetworkKind::listen);
    EXPECT_EQ(listening.socket, "/x/a,b");
    EXPECT_EQ(parse_network("connect:/x/a").value().kind, NetworkKind::connect);
}

TEST(ParseNetwork, refuses_what_it_does_not_understand_and_says_what_it_would) {
    for (const std::string text :
         {"", "tap", "user,", "user,hostfwd=tcp:0:7", "user,hostfwd=tcp:7", "user,hostfwd=tcp:70000:7",
          "user,hostfwd=icmp:1:1", "user,hostfwd=tcp:1:7x", "listen:", "listen:/x,hostfwd=tcp:1:7",
          "connect"}) {
        const auto parsed = parse_network(text);
        ASSERT_FALSE(parsed.has_value()) << text;
        EXPECT_NE(parsed.error().message.find("network '" + text + "'"), std::string::npos) << text;
        EXPECT_NE(parsed.error().hint.find("hostfwd=tcp:"), std::string::npos) << text;
    }
    EXPECT_FALSE(parse_network("listen:/" + std::string(200, 'x')).has_value());
}

}  // namespace
}  // namespace pv::domain
