// A guest's network interfaces: what --net says, and QEMU's arguments for it.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"

namespace pv::domain {

/// What the other end of a virtio-net device is. None of them needs a privilege.
enum class NetworkKind : std::uint8_t {
    user,     ///< QEMU's own network: DHCP at 10.0.2.2, the outside by address translation
    listen,   ///< a UNIX stream socket that another guest connects to
    connect,  ///< the other end of that
};

/// A port of this machine, on its loopback address only, that leads to one of the guest's.
struct PortForward {
    bool tcp = true;
    std::uint16_t host = 0;
    std::uint16_t guest = 0;

    bool operator==(const PortForward&) const = default;
};

struct Network {
    NetworkKind kind = NetworkKind::user;
    std::filesystem::path socket = {};       ///< of listen and connect
    std::vector<PortForward> forwards = {};  ///< of user
    bool removable = false;                  ///< in a slot it can be taken out of, behind a port of its own
};

/// Understands `user`, `user,hostfwd=tcp:HOSTPORT:GUESTPORT` (repeatable; udp as well), `listen:PATH` and
/// `connect:PATH`. A comma in a path is doubled. Errors: usage, naming the word that is wrong.
Result<Network> parse_network(std::string_view text);

inline constexpr unsigned first_network_slot = 0x0c;
inline constexpr std::size_t max_networks = 4;  ///< slots 0x0c to 0x0f

/// QEMU's JSON for -netdev and for -device. `behind_iommu`: the device uses the platform's addresses.
struct NetworkArguments {
    std::string netdev;
    std::string device;
};

NetworkArguments network_arguments(const Network& network, std::size_t index, bool behind_iommu);

/// What the trace says of it: user, listen, connect with its socket.
std::string describe(const Network& network);

}  // namespace pv::domain
