// A load of a network.
// SPDX-License-Identifier: MIT
#include "exercise/net_load.hpp"

#include "base/log.hpp"
#include "boot/options.hpp"
#include "net/traffic.hpp"

namespace pv::exercise {
namespace {

constexpr Duration limit = Duration::seconds(300);

bool number(Result<std::uint64_t> parsed, std::uint64_t most, std::uint64_t& into) {
    into = parsed ? *parsed : 0;
    return into >= 1 && into <= most;
}

Result<net::TrafficPlan> parse(std::string_view text) {
    net::TrafficPlan plan;
    bool good = true;
    boot::for_each_item(text, [&](std::string_view key, std::string_view value) {
        bool known = false;
        if (key == "peer") {
            const auto peer = net::parse_ip4(value);
            known = peer.has_value();
            plan.peer = peer.value_or(net::Ip4{});
        } else if (key == "stream" || key == "datagrams") {
            plan.stream = key == "stream";
            known = number(boot::parse_size(value), std::uint64_t{1} << 40, plan.count);
        } else if (key == "size") {
            std::uint64_t size = 0;
            known = number(boot::parse_number(value), 1472, size);
            plan.size = size;
        } else if (key == "depth") {
            known = number(boot::parse_number(value), 256, plan.depth);
        }
        if (!known) {
            log::error(
                "traffic: '{}:{}': expected peer:ADDRESS, stream:BYTES or datagrams:COUNT, size:1-1472, "
                "depth:1-256",
                key, value);
            good = false;
        }
    });
    if (good && (!plan.peer.is_set() || plan.count == 0)) {
        log::error("traffic: it takes a peer, and stream or datagrams");
        good = false;
    }
    return good ? Result<net::TrafficPlan>{plan} : fail(Error::invalid_argument);
}

}  // namespace

Result<> net_load(Network& network, std::string_view text) {
    const net::TrafficPlan plan = PV_TRY(parse(text));
    if (network.stack() == nullptr) {
        log::error("traffic: there is no network device");
        return fail(Error::out_of_range);
    }
    const Result<Duration> spent = net::traffic(*network.stack(), plan, Deadline::after(limit));
    if (!spent) {
        log::error("traffic: {}: {}", net::AddressText{plan.peer}, spent.error());
        return fail(spent.error());
    }
    log::info("load: operations {} nanoseconds {}", plan.count, spent->to_nanoseconds());
    return {};
}

}  // namespace pv::exercise
