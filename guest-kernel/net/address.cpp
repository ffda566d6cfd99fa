// IP addresses as text and numbers.
// SPDX-License-Identifier: MIT
#include "net/address.hpp"

#include "base/format.hpp"
#include "boot/options.hpp"

namespace pv::net {

Result<Ip4> parse_ip4(std::string_view text) {
    Ip4 address;
    for (std::size_t i = 0; i < address.bytes.size(); ++i) {
        const std::size_t end = i + 1 < address.bytes.size() ? text.find('.') : text.size();
        if (end == std::string_view::npos || end > 3) {
            return fail(Error::invalid_argument);
        }
        const std::uint64_t number = PV_TRY(boot::parse_number(text.substr(0, end)));
        if (number > 255) {
            return fail(Error::invalid_argument);
        }
        address.bytes[i] = static_cast<std::uint8_t>(number);
        text.remove_prefix(end < text.size() ? end + 1 : end);
    }
    return address;
}

Result<Ip4Network> parse_ip4_network(std::string_view text) {
    const std::size_t slash = text.find('/');
    if (slash == std::string_view::npos) {
        return fail(Error::invalid_argument);
    }
    const Ip4 address = PV_TRY(parse_ip4(text.substr(0, slash)));
    const std::uint64_t prefix = PV_TRY(boot::parse_number(text.substr(slash + 1)));
    if (prefix > 32) {
        return fail(Error::invalid_argument);
    }
    return Ip4Network{address, static_cast<std::uint8_t>(prefix)};
}

AddressText::AddressText(const Ip4& address)
    : length_{format::to(text_, "{}.{}.{}.{}", address.bytes[0], address.bytes[1], address.bytes[2],
                         address.bytes[3])
                  .size()} {}

AddressText::AddressText(const std::array<std::uint8_t, 16>& address) {
    const auto group = [&](std::size_t i) { return (address[2 * i] << 8 | address[2 * i + 1]) & 0xffff; };
    length_ = format::to(text_, "{:x}:{:x}:{:x}:{:x}:{:x}:{:x}:{:x}:{:x}", group(0), group(1), group(2),
                         group(3), group(4), group(5), group(6), group(7))
                  .size();
}

}  // namespace pv::net
