// IP addresses as text and numbers, without lwIP's types.
// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "base/result.hpp"

namespace pv::net {

/// An IPv4 address, most significant byte first.
struct Ip4 {
    std::array<std::uint8_t, 4> bytes{};

    bool operator==(const Ip4&) const = default;

    [[nodiscard]] constexpr bool is_set() const { return *this != Ip4{}; }
};

/// An address and the length of its network's prefix.
struct Ip4Network {
    Ip4 address;
    std::uint8_t prefix = 0;  ///< 0 to 32
};

/// "10.0.2.15", nothing around it. Error: invalid_argument.
[[nodiscard]] Result<Ip4> parse_ip4(std::string_view text);

/// "10.0.2.15/24". Error: invalid_argument.
[[nodiscard]] Result<Ip4Network> parse_ip4_network(std::string_view text);

/// An address as text, for a log line.
class AddressText {
  public:
    explicit AddressText(const Ip4& address);
    /// IPv6, 16 bytes in network order: the form of RFC 5952 without the shortening of zeros.
    explicit AddressText(const std::array<std::uint8_t, 16>& address);

    [[nodiscard]] std::string_view text() const { return {text_.data(), length_}; }

  private:
    std::array<char, 48> text_{};
    std::size_t length_ = 0;
};

inline std::string_view format_argument(const AddressText& address) {
    return address.text();
}

}  // namespace pv::net
