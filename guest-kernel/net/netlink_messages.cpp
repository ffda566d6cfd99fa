// What NETLINK_ROUTE answers.
// SPDX-License-Identifier: MIT
#include "net/netlink_messages.hpp"

#include <linux/if.h>
#include <linux/if_arp.h>
#include <linux/rtnetlink.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <optional>
#include <utility>

#include "net/endpoint.hpp"
#include "net/interface_facts.hpp"

namespace pv::net {
namespace {

/// Programs have room for a page at least.
constexpr std::size_t datagram_max = 3800;
constexpr std::uint32_t queue_length = 1000;
constexpr std::uint8_t any_family = 0;

/// Messages, one after the other, in datagrams of a length that every program has room for.
class Writer {
  public:
    Writer(const nlmsghdr& request, std::uint32_t port, Vector<NetlinkAnswer>& out)
        : request_(request), port_(port), out_(out) {}

    template <class Body>
    void begin(std::uint16_t type, std::uint16_t flags, const Body& body) {
        begin_ = bytes_.size();
        const nlmsghdr header{0, type, flags, request_.nlmsg_seq, port_};
        put(&header, sizeof header);
        put(&body, sizeof body);
    }

    template <class T>
    void add(std::uint16_t type, const T& value) {
        add_bytes(type, &value, sizeof value);
    }

    void add_text(std::uint16_t type, std::string_view text) {
        std::array<char, 32> room{};
        std::copy_n(text.begin(), std::min(text.size(), room.size() - 1), room.begin());
        add_bytes(type, room.data(), std::min(text.size(), room.size() - 1) + 1);
    }

    void add_bytes(std::uint16_t type, const void* from, std::size_t length) {
        const rtattr attribute{static_cast<std::uint16_t>(sizeof(rtattr) + length), type};
        put(&attribute, sizeof attribute);
        put(from, length);
    }

    void add_raw(std::span<const std::byte> bytes) { put(bytes.data(), bytes.size()); }

    void end() {
        const auto length = static_cast<std::uint32_t>(bytes_.size() - begin_);
        if (!failed_) {
            std::memcpy(bytes_.begin() + begin_, &length, sizeof length);
        }
        if (bytes_.size() > datagram_max) {
            flush();
        }
    }

    [[nodiscard]] Outcome<> finish() {
        flush();
        return failed_ ? fail(Errno::enomem) : Outcome<>();
    }

  private:
    void put(const void* from, std::size_t length) {
        const auto* bytes = static_cast<const std::byte*>(from);
        for (std::size_t i = 0; i < length || bytes_.size() % NLMSG_ALIGNTO != 0; ++i) {
            failed_ = failed_ || !bytes_.push_back(i < length ? bytes[i] : std::byte{0});
            if (failed_) {
                return;
            }
        }
    }

    void flush() {
        if (!bytes_.empty()) {
            failed_ = failed_ || !out_.push_back(std::move(bytes_));
            bytes_ = NetlinkAnswer();
        }
    }

    const nlmsghdr request_;
    const std::uint32_t port_;
    Vector<NetlinkAnswer>& out_;
    NetlinkAnswer bytes_;
    std::size_t begin_ = 0;
    bool failed_ = false;
};

/// `error` 0: it was done.
void write_error(Writer& writer, const nlmsghdr& request, int error, std::span<const std::byte> body) {
    writer.begin(NLMSG_ERROR, error == 0 ? NLM_F_CAPPED : 0, nlmsgerr{-error, request});
    if (error != 0) {
        writer.add_raw(body);
    }
    writer.end();
}

void write_link(Writer& writer, const InterfaceFacts& link, std::uint16_t flags) {
    const bool is_running = (link.flags & IFF_RUNNING) != 0;
    ifinfomsg body{};
    body.ifi_type = link.is_loop ? ARPHRD_LOOPBACK : ARPHRD_ETHER;
    body.ifi_index = link.index;
    body.ifi_flags = link.flags | (is_running ? unsigned{IFF_LOWER_UP} : 0U);
    writer.begin(RTM_NEWLINK, flags, body);
    writer.add_text(IFLA_IFNAME, link.name_text());
    writer.add(IFLA_TXQLEN, queue_length);
    constexpr std::uint8_t unknown = 0;
    constexpr std::uint8_t down = 2;
    constexpr std::uint8_t up = 6;
    writer.add(IFLA_OPERSTATE, link.is_loop ? unknown : is_running ? up : down);
    writer.add(IFLA_LINKMODE, std::uint8_t{0});
    writer.add(IFLA_MTU, std::uint32_t{link.mtu});
    writer.add(IFLA_GROUP, std::uint32_t{0});
    writer.add_text(IFLA_QDISC, "noqueue");
    const std::array<std::uint8_t, 6> nobody{};
    const std::array<std::uint8_t, 6> all{0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
    writer.add(IFLA_ADDRESS, link.is_loop ? nobody : link.hardware);
    writer.add(IFLA_BROADCAST, link.is_loop ? nobody : all);
    writer.end();
}

template <class Address>
void write_address(Writer& writer, const InterfaceFacts& link, std::uint8_t family, std::uint8_t prefix,
                   std::uint8_t scope, const Address& address) {
    ifaddrmsg body{};
    body.ifa_family = family;
    body.ifa_prefixlen = prefix;
    body.ifa_flags = IFA_F_PERMANENT;
    body.ifa_scope = scope;
    body.ifa_index = static_cast<std::uint32_t>(link.index);
    writer.begin(RTM_NEWADDR, NLM_F_MULTI, body);
    writer.add(IFA_ADDRESS, address);
    if (family == family_v4) {
        writer.add(IFA_LOCAL, address);
        if (!link.is_loop) {
            writer.add(IFA_BROADCAST, link.broadcast);
        }
        writer.add_text(IFA_LABEL, link.name_text());
    }
    writer.add(IFA_FLAGS, std::uint32_t{IFA_F_PERMANENT});
    constexpr std::uint32_t forever = ~0U;
    writer.add(IFA_CACHEINFO, ifa_cacheinfo{forever, forever, 0, 0});
    writer.end();
}

std::uint8_t prefix_of(std::uint32_t mask) {
    return static_cast<std::uint8_t>(std::popcount(mask));
}

void write_addresses(Writer& writer, const InterfaceFacts& link, std::uint8_t family) {
    const std::uint8_t reach = link.is_loop ? RT_SCOPE_HOST : RT_SCOPE_UNIVERSE;
    if (link.address != 0 && (family == any_family || family == family_v4)) {
        write_address(writer, link, family_v4, prefix_of(link.mask), reach, link.address);
    }
    if (family != any_family && family != family_v6) {
        return;
    }
    for (std::size_t i = 0; i < link.v6_count; ++i) {
        const auto& address = link.v6[i];
        const bool is_local = address[0] == 0xfe && (address[1] & 0xc0) == 0x80;
        constexpr std::uint8_t subnet = 64;
        constexpr std::uint8_t whole = 128;
        write_address(writer, link, family_v6, link.is_loop ? whole : subnet,
                      is_local ? std::uint8_t{RT_SCOPE_LINK} : reach, address);
    }
}

void write_route(Writer& writer, const InterfaceFacts& link, std::uint32_t gateway) {
    rtmsg body{};
    body.rtm_family = family_v4;
    body.rtm_dst_len = gateway != 0 ? std::uint8_t{0} : prefix_of(link.mask);
    body.rtm_table = RT_TABLE_MAIN;
    body.rtm_protocol = gateway != 0 ? RTPROT_BOOT : RTPROT_KERNEL;
    body.rtm_scope = gateway != 0 ? RT_SCOPE_UNIVERSE : RT_SCOPE_LINK;
    body.rtm_type = RTN_UNICAST;
    writer.begin(RTM_NEWROUTE, NLM_F_MULTI, body);
    writer.add(RTA_TABLE, std::uint32_t{RT_TABLE_MAIN});
    if (gateway != 0) {
        writer.add(RTA_GATEWAY, gateway);
    } else {
        writer.add(RTA_DST, link.address & link.mask);
        writer.add(RTA_PREFSRC, link.address);
    }
    writer.add(RTA_OIF, link.index);
    writer.end();
}

void write_routes(Writer& writer, const InterfaceFacts& link, std::uint8_t family) {
    if (link.is_loop || link.address == 0 || (family != any_family && family != family_v4)) {
        return;
    }
    if (link.gateway != 0) {
        write_route(writer, link, link.gateway);
    }
    write_route(writer, link, 0);
}

/// Which link RTM_GETLINK without NLM_F_DUMP means.
std::optional<InterfaceFacts> wanted_link(std::span<const std::byte> body, const AllInterfaces& all) {
    ifinfomsg wanted{};
    if (body.size() < sizeof wanted) {
        return std::nullopt;
    }
    std::memcpy(&wanted, body.data(), sizeof wanted);
    std::string_view name;
    std::size_t at = NLMSG_ALIGN(sizeof wanted);
    rtattr attribute{};
    while (body.size() >= at + sizeof attribute) {
        std::memcpy(&attribute, body.data() + at, sizeof attribute);
        if (attribute.rta_len < sizeof attribute || attribute.rta_len > body.size() - at) {
            break;
        }
        if (attribute.rta_type == IFLA_IFNAME) {
            name = {reinterpret_cast<const char*>(body.data() + at + sizeof attribute),
                    attribute.rta_len - sizeof attribute};
            name = name.substr(0, name.find('\0'));
        }
        at += RTA_ALIGN(attribute.rta_len);
    }
    for (const InterfaceFacts& link : all.view()) {
        if (wanted.ifi_index != 0 ? link.index == wanted.ifi_index : link.name_text() == name) {
            return link;
        }
    }
    return std::nullopt;
}

void write_list(Writer& writer, std::uint16_t type, std::uint8_t family, const AllInterfaces& all) {
    for (const InterfaceFacts& link : all.view()) {
        switch (type) {
            case RTM_GETLINK:
                write_link(writer, link, NLM_F_MULTI);
                break;
            case RTM_GETADDR:
                write_addresses(writer, link, family);
                break;
            default:
                write_routes(writer, link, family);
                break;
        }
    }
    writer.begin(NLMSG_DONE, NLM_F_MULTI, 0);
    writer.end();
}

}  // namespace

Outcome<> answer_netlink(std::span<const std::byte> request, std::uint32_t port, bool privileged,
                         Vector<NetlinkAnswer>& answers) {
    nlmsghdr header{};
    std::memcpy(&header, request.data(), sizeof header);
    if ((header.nlmsg_flags & NLM_F_REQUEST) == 0) {
        return {};
    }
    Writer writer(header, port, answers);
    const auto body = request.subspan(sizeof header);
    // Each of rtnetlink's kinds has four: new, delete, get, set.
    constexpr unsigned kind_mask = 3;
    constexpr unsigned get = 2;
    const bool is_control = header.nlmsg_type < NLMSG_MIN_TYPE;
    const bool changes = ((header.nlmsg_type - RTM_BASE) & kind_mask) != get;
    const bool is_dump = (header.nlmsg_flags & NLM_F_DUMP) == NLM_F_DUMP;
    const bool has_list = header.nlmsg_type == RTM_GETLINK || header.nlmsg_type == RTM_GETADDR ||
                          header.nlmsg_type == RTM_GETROUTE;
    int error = 0;
    if (is_control || (header.nlmsg_type <= RTM_MAX && body.empty())) {
        // Nothing is asked.
    } else if (header.nlmsg_type <= RTM_MAX && changes && !privileged) {
        error = EPERM;
    } else if (changes || !has_list || (!is_dump && header.nlmsg_type != RTM_GETLINK)) {
        error = EOPNOTSUPP;
    } else {
        AllInterfaces all;
        PV_TRY(find_interfaces(all));
        if (is_dump) {
            write_list(writer, header.nlmsg_type, static_cast<std::uint8_t>(body[0]), all);
            return writer.finish();
        }
        if (const auto link = wanted_link(body, all)) {
            write_link(writer, *link, 0);
        } else {
            error = ENODEV;
        }
    }
    if (error != 0 || (header.nlmsg_flags & NLM_F_ACK) != 0) {
        write_error(writer, header, error, body);
    }
    return writer.finish();
}

}  // namespace pv::net
