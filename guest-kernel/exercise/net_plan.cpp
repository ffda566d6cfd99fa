// What the exercise is asked to do with the network: options of the command line, checked.
// SPDX-License-Identifier: MIT
#include "exercise/net_plan.hpp"

#include "base/log.hpp"
#include "boot/options.hpp"

namespace pv::exercise {

Result<NetPlan> parse_net_plan(std::string_view text) {
    NetPlan plan;
    bool good = true;
    const auto set = [&](std::string_view key, std::string_view value, auto& into, const auto& parsed,
                         std::string_view expected) {
        if (parsed) {
            into = *parsed;
        } else {
            log::error("net: '{}:{}': expected {}", key, value, expected);
            good = false;
        }
    };
    constexpr std::string_view a_time = "a time with its unit, as 2s or 500ms";
    constexpr std::string_view a_number = "a number";
    constexpr std::string_view an_address = "an IPv4 address, as 10.0.0.2";
    boot::for_each_item(text, [&](std::string_view key, std::string_view value) {
        if (key == "address") {
            set(key, value, plan.address, net::parse_ip4_network(value),
                "an address with its prefix, as 10.0.0.1/24");
        } else if (key == "gateway") {
            set(key, value, plan.gateway, net::parse_ip4(value), an_address);
        } else if (key == "peer") {
            set(key, value, plan.peer, net::parse_ip4(value), an_address);
        } else if (key == "wait") {
            set(key, value, plan.wait, boot::parse_duration(value), a_time);
        } else if (key == "pings") {
            set(key, value, plan.pings, boot::parse_number(value), a_number);
        } else if (key == "echo") {
            set(key, value, plan.echo, boot::parse_size(value), "a number of bytes, as 64k");
        } else if (key == "serve") {
            set(key, value, plan.serve, boot::parse_duration(value), a_time);
        } else if (key == "connections") {
            set(key, value, plan.connections, boot::parse_number(value), a_number);
        } else if (key == "limit") {
            set(key, value, plan.limit, boot::parse_duration(value), a_time);
        } else {
            log::error(
                "net: no option is called '{}'; there are address, gateway, peer, wait, pings, echo, serve, "
                "connections and limit",
                key);
            good = false;
        }
    });
    if (!good) {
        return fail(Error::invalid_argument);
    }
    return plan;
}

}  // namespace pv::exercise
