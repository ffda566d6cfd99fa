// The interfaces there are, as they are at a moment.
// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "base/errno.hpp"

namespace pv::net {

struct InterfaceFacts {
    static constexpr std::size_t name_size = 16;  ///< IFNAMSIZ
    static constexpr std::size_t v6_max = 3;

    std::array<char, name_size> name{};
    std::uint32_t address = 0;  ///< IPv4, in network order, as the next three; 0: none
    std::uint32_t mask = 0;
    std::uint32_t broadcast = 0;
    std::uint32_t gateway = 0;  ///< of the default route, where it goes through this one
    std::uint16_t flags = 0;    ///< IFF_*
    std::uint16_t mtu = 0;
    int index = 0;
    bool is_loop = false;
    std::array<std::uint8_t, 6> hardware{};
    std::array<std::array<std::uint8_t, 16>, v6_max> v6{};  ///< IPv6 addresses that may be used
    std::size_t v6_count = 0;

    [[nodiscard]] std::string_view name_text() const { return name.data(); }
};

struct AllInterfaces {
    static constexpr std::size_t most = 16;
    std::array<InterfaceFacts, most> list;
    std::size_t count = 0;

    [[nodiscard]] std::span<const InterfaceFacts> view() const { return std::span(list).first(count); }
};

/// The loopback interface first. Threads only. Error: enetdown.
[[nodiscard]] Outcome<> find_interfaces(AllInterfaces& all);

}  // namespace pv::net
