// What a device is asked to do about the checksum of a TCP segment.
// SPDX-License-Identifier: MIT
#include "net/sum_request.hpp"

#include <array>
#include <cstdint>
#include <cstring>

#include "base/endian.hpp"
#include "net/checksum.hpp"

namespace pv::net {
namespace {

constexpr std::uint16_t type_ipv4 = 0x0800;
constexpr std::uint16_t type_ipv6 = 0x86dd;
constexpr std::uint8_t protocol_tcp = 6;
constexpr std::size_t sum_offset = 16;  // into the TCP header
constexpr std::size_t tcp_header = 20;

std::uint8_t byte_at(std::span<const std::byte> bytes, std::size_t at) {
    return std::to_integer<std::uint8_t>(bytes[at]);
}

std::uint16_t word_at(std::span<const std::byte> bytes, std::size_t at) {
    return static_cast<std::uint16_t>(byte_at(bytes, at) << 8 | byte_at(bytes, at + 1));
}

SumRequest ask(std::span<std::byte> frame, std::span<const std::byte> addresses, std::size_t start,
               std::size_t length) {
    const std::array<be16, 3> rest{be16{std::uint16_t{protocol_tcp}},
                                   be16{static_cast<std::uint16_t>(length)}, be16{std::uint16_t{0}}};
    std::uint32_t sum = internet_sum(addresses) + internet_sum(std::as_bytes(std::span{rest}));
    sum = (sum & 0xffff) + (sum >> 16);
    const auto folded = static_cast<std::uint16_t>(sum);  // in memory order, as it is stored
    std::memcpy(frame.data() + start + sum_offset, &folded, sizeof folded);
    return {static_cast<std::uint16_t>(start), sum_offset};
}

}  // namespace

SumRequest prepare_tcp_sum(std::span<std::byte> frame) {
    const std::span<std::byte> packet = frame.subspan(frame.size() < ethernet_header ? 0 : ethernet_header);
    if (frame.size() < ethernet_header + 20) {
        return {};
    }
    const std::uint16_t type = word_at(frame, 12);
    if (type == type_ipv4) {
        constexpr std::uint16_t fragment = 0x3fff;  // more fragments, or an offset
        const std::size_t header = (byte_at(packet, 0) & 15U) * std::size_t{4};
        const std::size_t total = word_at(packet, 2);
        if (byte_at(packet, 9) != protocol_tcp || (word_at(packet, 6) & fragment) != 0 || header < 20 ||
            total < header + tcp_header || packet.size() < total) {
            return {};
        }
        return ask(frame, packet.subspan(12, 8), ethernet_header + header, total - header);
    }
    constexpr std::size_t header6 = 40;
    if (type == type_ipv6 && packet.size() >= header6 + tcp_header && byte_at(packet, 6) == protocol_tcp) {
        const std::size_t length = word_at(packet, 4);
        if (length >= tcp_header && packet.size() >= header6 + length) {
            return ask(frame, packet.subspan(8, 32), ethernet_header + header6, length);
        }
    }
    return {};
}

}  // namespace pv::net
