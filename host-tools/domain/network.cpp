// Understands --net, and writes QEMU's arguments for it.
// SPDX-License-Identifier: MIT
#include "domain/network.hpp"

#include <fmt/format.h>

#include <charconv>
#include <nlohmann/json.hpp>
#include <optional>

#include "domain/options.hpp"

namespace pv::domain {
namespace {

using nlohmann::json;

constexpr std::string_view network_hint =
    "write user, user,hostfwd=tcp:HOSTPORT:GUESTPORT, listen:PATH or connect:PATH";

std::optional<std::uint16_t> port(std::string_view text) {
    std::uint16_t number = 0;
    const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (problem != std::errc() || end != text.data() + text.size() || number == 0) {
        return std::nullopt;
    }
    return number;
}

// tcp:HOSTPORT:GUESTPORT
std::optional<PortForward> parse_forward(std::string_view text) {
    PortForward forward;
    if (text.starts_with("udp:")) {
        forward.tcp = false;
    } else if (!text.starts_with("tcp:")) {
        return std::nullopt;
    }
    text.remove_prefix(4);
    const std::size_t colon = text.find(':');
    if (colon == std::string_view::npos) {
        return std::nullopt;
    }
    const auto host = port(text.substr(0, colon));
    const auto guest = port(text.substr(colon + 1));
    if (!host || !guest) {
        return std::nullopt;
    }
    forward.host = *host;
    forward.guest = *guest;
    return forward;
}

/// Two guests on one link differ: by the end of the link they are at.
std::string mac_address(const Network& network, std::size_t index) {
    return fmt::format("52:54:00:70:76:{:02x}", (network.kind == NetworkKind::connect ? 0x80 : 0x10) + index);
}

}  // namespace

Result<Network> parse_network(std::string_view text) {
    const auto refuse = [&](const std::string& why) {
        return fail(ExitStatus::usage, fmt::format("network '{}': {}", text, why), std::string(network_hint));
    };
    const std::vector<std::string> words = split_options(text);
    Network network;
    std::string_view first = words.front();
    if (first.starts_with("listen:") || first.starts_with("connect:")) {
        network.kind = first.starts_with("listen:") ? NetworkKind::listen : NetworkKind::connect;
        first.remove_prefix(first.find(':') + 1);
        if (first.empty()) {
            return refuse("the socket's path is missing");
        }
        constexpr std::size_t longest = 107;  // what a UNIX socket's address holds
        network.socket = std::filesystem::absolute(first);
        if (network.socket.string().size() > longest) {
            return refuse(fmt::format("the socket's path is longer than {} characters", longest));
        }
    } else if (first != "user") {
        return refuse(fmt::format("'{}' is no kind of network", first));
    }
    for (std::size_t i = 1; i < words.size(); ++i) {
        constexpr std::string_view key = "hostfwd=";
        const std::string_view word = words[i];
        if (network.kind != NetworkKind::user || !word.starts_with(key)) {
            return refuse(fmt::format("'{}' is no option of it", word));
        }
        const auto forward = parse_forward(word.substr(key.size()));
        if (!forward) {
            return refuse(fmt::format("'{}' is no port of this machine and one of the guest", word));
        }
        network.forwards.push_back(*forward);
    }
    return network;
}

NetworkArguments network_arguments(const Network& network, std::size_t index, bool behind_iommu) {
    const std::string id = fmt::format("net{}", index);
    json netdev{{"id", id + "-link"}};
    switch (network.kind) {
        case NetworkKind::user:
            netdev["type"] = "user";
            for (const PortForward& forward : network.forwards) {
                // Only programs of this machine reach the guest.
                netdev["hostfwd"].push_back(
                    {{"str", fmt::format("{}:127.0.0.1:{}-:{}", forward.tcp ? "tcp" : "udp", forward.host,
                                         forward.guest)}});
            }
            break;
        case NetworkKind::listen:
        case NetworkKind::connect:
            netdev["type"] = "stream";
            netdev["server"] = network.kind == NetworkKind::listen;
            netdev["addr"] = {{"type", "unix"}, {"path", network.socket.string()}};
            break;
    }
    json device{{"driver", "virtio-net-pci"},
                {"id", id},
                {"netdev", id + "-link"},
                {"mac", mac_address(network, index)},
                {"bus", network.removable ? id + "-port" : "pcie.0"},
                {"addr", fmt::format("{:x}", network.removable ? 0 : first_network_slot + index)},
                {"disable-legacy", "on"},
                // No firmware of its own: nothing is to be started from the network.
                {"romfile", ""}};
    if (behind_iommu) {
        device["iommu_platform"] = true;
    }
    return {netdev.dump(), device.dump()};
}

std::string describe(const Network& network) {
    switch (network.kind) {
        case NetworkKind::user:
            return "user";
        case NetworkKind::listen:
            return "listens at " + network.socket.string();
        case NetworkKind::connect:
            return "connects to " + network.socket.string();
    }
    return "?";
}

}  // namespace pv::domain
