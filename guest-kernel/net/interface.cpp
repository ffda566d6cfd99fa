// One network interface: frames between a device and lwIP, the link, addresses as they come.
// SPDX-License-Identifier: MIT
#include "net/interface.hpp"

#include <algorithm>
#include <cstring>
#include <new>
#include <utility>

#include "base/endian.hpp"
#include "base/format.hpp"
#include "base/log.hpp"
#include "net/sum_request.hpp"

extern "C" {
#include "lwip/dhcp.h"
#include "lwip/etharp.h"
#include "lwip/ethip6.h"
#include "lwip/mld6.h"
#include "lwip/pbuf.h"
#include "netif/ethernet.h"
}

namespace pv::net {
namespace {

/// Frames taken in one go, before timers and sending get their turn.
constexpr std::size_t receive_budget = 64;

constexpr std::size_t shortest_frame = 60;

constexpr std::uint16_t sums_checked =
    NETIF_CHECKSUM_CHECK_IP | NETIF_CHECKSUM_CHECK_ICMP | NETIF_CHECKSUM_CHECK_ICMP6;
constexpr std::uint16_t sums_device_may_check = NETIF_CHECKSUM_CHECK_TCP | NETIF_CHECKSUM_CHECK_UDP;
constexpr std::uint16_t sums_made =
    NETIF_CHECKSUM_GEN_IP | NETIF_CHECKSUM_GEN_UDP | NETIF_CHECKSUM_GEN_ICMP | NETIF_CHECKSUM_GEN_ICMP6;

ip4_addr_t to_lwip(const Ip4& address) {
    ip4_addr_t to;
    std::memcpy(&to.addr, address.bytes.data(), sizeof to.addr);
    return to;
}

std::uint32_t from_lwip(const ip4_addr_t* address) {
    return byte_swap(address->addr);
}

Ip4 as_bytes(std::uint32_t address) {
    return {{static_cast<std::uint8_t>(address >> 24), static_cast<std::uint8_t>(address >> 16),
             static_cast<std::uint8_t>(address >> 8), static_cast<std::uint8_t>(address)}};
}

std::array<std::uint8_t, 16> as_bytes(const ip6_addr_t& address) {
    std::array<std::uint8_t, 16> bytes;
    std::memcpy(bytes.data(), address.addr, bytes.size());
    return bytes;
}

}  // namespace

Interface::Interface(std::unique_ptr<Device> device, const Addressing& addressing)
    : device_{std::move(device)}, addressing_{addressing} {
    // The device's address tells two guests apart where a server names them.
    const MacAddress mac = device_->mac();
    format::to(std::span{host_name_}.first(host_name_.size() - 1), "paravane-{:02x}{:02x}{:02x}", mac[3],
               mac[4], mac[5]);
}

Result<std::unique_ptr<Interface>> Interface::create(std::unique_ptr<Device> device,
                                                     const Addressing& addressing) {
    std::unique_ptr<Interface> interface{new (std::nothrow) Interface{std::move(device), addressing}};
    if (interface == nullptr) {
        return fail(Error::out_of_memory);
    }
    return interface;
}

Result<> Interface::start(Waker& waker) {
    ip4_addr_t none{};
    if (netif_add(&lower_, &none, &none, &none, this, set_up, ethernet_input) == nullptr) {
        return fail(Error::no_space);
    }
    started_ = true;
    netif_set_status_callback(&lower_, changed);
    netif_set_link_callback(&lower_, changed);
    device_->start(waker);
    if (netif_default == nullptr) {
        netif_set_default(&lower_);
    }
    if (addressing_.address) {
        const ip4_addr_t own = to_lwip(addressing_.address->address);
        ip4_addr_t mask;
        mask.addr =
            addressing_.address->prefix == 0 ? 0 : byte_swap(~0U << (32 - addressing_.address->prefix));
        const ip4_addr_t gateway = to_lwip(addressing_.gateway);
        netif_set_addr(&lower_, &own, &mask, &gateway);
    }
    netif_create_ip6_linklocal_address(&lower_, 1);
    netif_set_ip6_autoconfig_enabled(&lower_, 1);
    netif_set_up(&lower_);
    if (!addressing_.address && dhcp_start(&lower_) != ERR_OK) {
        return fail(Error::out_of_memory);
    }
    if (device_->link_up()) {
        netif_set_link_up(&lower_);
    }
    publish_addresses();
    return {};
}

err_t Interface::set_up(netif* lower) {
    Interface& self = of(lower);
    lower->name[0] = 'e';
    lower->name[1] = 'n';
    lower->hostname = self.host_name_.data();
    lower->output = etharp_output;
    lower->output_ip6 = ethip6_output;
    lower->linkoutput = output;
    lower->mtu = static_cast<std::uint16_t>(self.device_->mtu());
    lower->hwaddr_len = ETH_HWADDR_LEN;
    const MacAddress mac = self.device_->mac();
    std::ranges::copy(mac, std::begin(lower->hwaddr));
    lower->flags = NETIF_FLAG_BROADCAST | NETIF_FLAG_ETHARP | NETIF_FLAG_ETHERNET | NETIF_FLAG_MLD6;
    lower->chksum_flags =
        static_cast<std::uint16_t>(sums_made | sums_checked | sums_device_may_check |
                                   (self.device_->sums_on_send() ? 0 : NETIF_CHECKSUM_GEN_TCP));
    return ERR_OK;
}

err_t Interface::output(netif* lower, pbuf* frame) {
    Interface& self = of(lower);
    const bool sums = (lower->chksum_flags & NETIF_CHECKSUM_GEN_TCP) == 0;
    const Result<> sent = self.device_->send(frame->tot_len, [&](std::span<std::byte> room) {
        std::size_t at = 0;
        for (const pbuf* part = frame; part != nullptr && at < room.size(); part = part->next) {
            const std::size_t length = std::min<std::size_t>(part->len, room.size() - at);
            std::memcpy(room.data() + at, part->payload, length);
            at += length;
        }
        return sums ? prepare_tcp_sum(room) : SumRequest{};
    });
    if (sent) {
        return ERR_OK;
    }
    return sent.error() == Error::busy ? ERR_MEM : ERR_IF;
}

bool Interface::poll() {
    return device_->receive(receive_budget, [this](const Frame& frame) { take(frame); }) != 0;
}

void Interface::take(const Frame& frame) {
    if (frame.length < ethernet_header || frame.length > largest_frame + 4) {
        ++refused_;  // 4: a VLAN's tag, which lwIP skips
        return;
    }
    // On a wire a frame has 60 bytes at least (IEEE 802.3, 4A.2.3.2.4), and lwIP reads a whole ARP message
    // without asking how long the frame is; on a virtual link it may be shorter.
    const std::size_t length = std::max(frame.length, shortest_frame);
    pbuf* packet = pbuf_alloc(PBUF_RAW, static_cast<std::uint16_t>(length), PBUF_RAM);
    if (packet == nullptr) {
        no_memory_.fetch_add(1, std::memory_order_relaxed);
        return;
    }
    auto* at = static_cast<std::byte*>(packet->payload);
    for (const std::span<const std::byte> part : frame.parts) {
        std::memcpy(at, part.data(), part.size());
        at += part.size();
    }
    std::memset(at, 0, length - frame.length);
    // lwIP takes the packet apart before it returns: what holds for this one is said right here.
    const bool vouched = frame.sum_vouched || frame.sum_partial;
    const auto checks = static_cast<std::uint16_t>(lower_.chksum_flags & ~sums_device_may_check);
    lower_.chksum_flags = static_cast<std::uint16_t>(checks | (vouched ? 0 : sums_device_may_check));
    if (lower_.input(packet, &lower_) != ERR_OK) {
        ++refused_;
        pbuf_free(packet);
    }
}

void Interface::tick() {
    device_->tick();
    const bool up = device_->link_up();
    if (up != (netif_is_link_up(&lower_) != 0)) {
        log::info("{}: link {}", device_->name(), up ? "up" : "down");
        if (up) {
            netif_set_link_up(&lower_);
        } else {
            netif_set_link_down(&lower_);
        }
        publish_addresses();
    }
}

void Interface::changed(netif* lower) {
    of(lower).publish_addresses();
}

void Interface::publish_addresses() {
    const std::uint32_t address = from_lwip(netif_ip4_addr(&lower_));
    const std::uint32_t gateway = from_lwip(netif_ip4_gw(&lower_));
    if (address != view_.address.load(std::memory_order_relaxed)) {
        if (address != 0) {
            log::info("{}: address {}/{}, gateway {}, {}", device_->name(), AddressText{as_bytes(address)},
                      __builtin_popcount(netif_ip4_netmask(&lower_)->addr), AddressText{as_bytes(gateway)},
                      addressing_.address ? "as told" : "by DHCP");
        } else {
            log::info("{}: no IPv4 address any more", device_->name());
        }
    }
    bool routed = false;
    for (std::size_t i = 0; i < said6_.size(); ++i) {
        const auto slot = static_cast<s8_t>(i);
        const bool preferred = ip6_addr_ispreferred(netif_ip6_addr_state(&lower_, slot)) != 0;
        const ip6_addr_t& own = *netif_ip6_addr(&lower_, slot);
        const auto bytes = preferred ? as_bytes(own) : decltype(as_bytes(own)){};
        if (preferred && bytes != said6_[i]) {
            log::info("{}: address {}", device_->name(), AddressText{bytes});
        }
        said6_[i] = bytes;
        routed = routed || (preferred && ip6_addr_islinklocal(&own) == 0);
    }
    view_.link.store(netif_is_link_up(&lower_) != 0, std::memory_order_release);
    view_.gateway.store(gateway, std::memory_order_release);
    view_.address.store(address, std::memory_order_release);
    view_.routed6.store(routed, std::memory_order_release);
    view_.changed.wake_all();
}

void Interface::stop() {
    if (std::exchange(started_, false)) {
        netif_set_status_callback(&lower_, nullptr);
        netif_set_link_callback(&lower_, nullptr);
        dhcp_stop(&lower_);  // which gives the address back
        device_->flush();
        netif_set_down(&lower_);
        netif_remove(&lower_);
    }
}

void Interface::print_status() {
    const std::uint32_t address = view_.address.load(std::memory_order_acquire);
    const Counters count = device_->counters();
    log::info("status: {}: link {}, address {}, {} frames ({} bytes) received, {} ({} bytes) sent",
              device_->name(), view_.link.load(std::memory_order_acquire) ? "up" : "down",
              AddressText{as_bytes(address)}, count.received, count.received_bytes, count.sent,
              count.sent_bytes);
    log::info("status: {}: {} frames found no memory, {} a full queue; {} lies, {} resets", device_->name(),
              no_memory_.load(std::memory_order_relaxed), count.send_full, count.lies, count.resets);
    device_->print_status();
}

}  // namespace pv::net
