// UDP between programs and lwIP.
// SPDX-License-Identifier: MIT
#include "net/udp_core.hpp"

#include <linux/in.h>

#include <algorithm>
#include <cstring>
#include <new>
#include <utility>

#include "net/lwip_endpoint.hpp"

extern "C" {
#include "lwip/udp.h"
}

namespace pv::net {

struct UdpCallbacks {
    static void on_received(void* argument, udp_pcb*, pbuf* data, const ip_addr_t* from, u16_t port) {
        static_cast<UdpCore*>(argument)->deliver(*data, 0, from_lwip(*from, port));
        pbuf_free(data);
    }
};

Outcome<Ref<DatagramCore>> UdpCore::create(std::uint16_t family) {
    auto core = Ref<UdpCore>::adopt(new (std::nothrow) UdpCore(family));
    return core ? Outcome<Ref<DatagramCore>>(std::move(core)) : fail(Errno::enomem);
}

int UdpCore::protocol() const {
    return IPPROTO_UDP;
}

Outcome<> UdpCore::check(std::span<const std::byte> bytes, const Endpoint* to) {
    constexpr std::size_t size_max_v4 = 65507;
    constexpr std::size_t size_max_v6 = 65487;
    if (to != nullptr && to->port == 0) {
        return fail(Errno::einval);
    }
    const bool is_v6 =
        to != nullptr ? to->is_v6 : state.with([](const State& now) { return now.remote.is_v6; });
    return bytes.size() > (is_v6 ? size_max_v6 : size_max_v4) ? fail(Errno::emsgsize) : Outcome<>();
}

Outcome<> UdpCore::make_block() {
    if (block_ != nullptr) {
        return {};
    }
    block_ = udp_new_ip_type(lwip_type(family, is_only_v6()));
    if (block_ == nullptr) {
        return fail(Errno::enobufs);
    }
    udp_recv(block_, UdpCallbacks::on_received, this);
    enlist(*this);
    apply_options();
    return {};
}

void UdpCore::drop_block(bool usable) {
    udp_pcb* const block = std::exchange(block_, nullptr);
    if (block != nullptr && usable) {
        udp_remove(block);
    }
    if (block != nullptr) {
        retire(*this);
    }
}

void UdpCore::apply_options() {
    if (block_ == nullptr) {
        return;
    }
    if (options.reuse_address.load(std::memory_order_relaxed)) {
        ip_set_option(block_, SOF_REUSEADDR);
    } else {
        ip_reset_option(block_, SOF_REUSEADDR);
    }
    block_->ttl = options.hops.load(std::memory_order_relaxed);
    block_->tos = options.service.load(std::memory_order_relaxed);
}

void UdpCore::note_names() {
    set_names(from_lwip(block_->local_ip, block_->local_port),
              from_lwip(block_->remote_ip, block_->remote_port));
}

Outcome<> UdpCore::bind_here(const Endpoint& local) {
    if (block_ != nullptr && block_->local_port != 0) {
        return fail(Errno::einval);
    }
    const ip_addr_t address = PV_TRY(to_bind(local, family, is_only_v6()));
    // The type is chosen when the block is made.
    const Ref<UdpCore> keep(*this);
    drop_block(true);
    PV_TRY(make_block());
    if (const err_t error = udp_bind(block_, &address, local.port); error != ERR_OK) {
        drop_block(true);
        return fail(error == ERR_USE ? Errno::eaddrinuse : to_errno(error));
    }
    is_bound_ = true;
    has_address_ = !local.is_any();
    note_names();
    return {};
}

Outcome<> UdpCore::connect_here(const Endpoint& remote) {
    if (!remote.is_v6 && is_only_v6()) {
        return fail(Errno::enetunreach);
    }
    const ip_addr_t to = to_lwip(destination_of(remote));
    const ip_addr_t from = PV_TRY(source_for(to));
    PV_TRY(make_block());
    const ip_addr_t any = PV_TRY(to_bind(Endpoint{.is_v6 = family == family_v6}, family, is_only_v6()));
    if (!has_address_) {
        ip_addr_copy(block_->local_ip, any);
    }
    if (block_->local_port == 0) {
        if (const err_t error = udp_bind(block_, &any, 0); error != ERR_OK) {
            return fail(error == ERR_USE ? Errno::eagain : to_errno(error));
        }
    }
    if (const err_t error = udp_connect(block_, &to, remote.port); error != ERR_OK) {
        return fail(to_errno(error));
    }
    if (!has_address_) {
        ip_addr_copy(block_->local_ip, from);
    }
    set_error(0);
    note_names();
    set_connected(true);
    tell(fs::poll_event::writable);
    return {};
}

Outcome<> UdpCore::disconnect_here() {
    if (block_ == nullptr || !is_connected()) {
        return {};
    }
    set_connected(false);
    if (!is_bound_) {
        const Ref<UdpCore> keep(*this);
        drop_block(true);
        set_names(Endpoint{.is_v6 = family == family_v6}, Endpoint{.is_v6 = family == family_v6});
        return {};
    }
    udp_disconnect(block_);
    if (!has_address_) {
        block_->local_ip = PV_TRY(to_bind(Endpoint{.is_v6 = family == family_v6}, family, is_only_v6()));
    }
    note_names();
    return {};
}

namespace {

bool is_ours(ip_addr_t address) {
    if (ip_addr_isloopback(&address)) {
        return true;
    }
    netif* lower = nullptr;
    NETIF_FOREACH(lower) {
        if (IP_IS_V6(&address) ? netif_get_ip6_addr_match(lower, ip_2_ip6(&address)) >= 0
                               : ip4_addr_cmp(ip_2_ip4(&address), netif_ip4_addr(lower))) {
            return true;
        }
    }
    return false;
}

// What an IPv6 socket says of an IPv4 address. Error: einval.
Outcome<Endpoint> as_v4(const Endpoint& given) {
    constexpr std::array<std::uint8_t, 12> mapped{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
    Endpoint v4;
    if (!given.is_any() && !std::ranges::equal(std::span(given.address).first(mapped.size()), mapped)) {
        return fail(Errno::einval);
    }
    std::copy_n(given.address.begin() + mapped.size(), 4, v4.address.begin());
    return v4;
}

struct Way {
    netif* lower = nullptr;
    ip_addr_t from{};
};

// How a datagram gets there, and what it says it comes from. Errors: einval, enodev, enetunreach.
Outcome<Way> way_to(ip_addr_t to, const ip_addr_t& own, const fs::PacketInfo* info) {
    Way way{.from = own};
    if (info != nullptr) {
        Endpoint given{.is_v6 = info->is_v6};
        std::ranges::copy(info->address, given.address.begin());
        if (given.is_v6 && IP_IS_V4(&to)) {
            given = PV_TRY(as_v4(given));
        }
        if (given.is_v6 != (IP_IS_V6(&to) != 0)) {
            return fail(Errno::einval);
        }
        if (!given.is_any()) {
            way.from = to_lwip(given);
            if (!is_ours(way.from)) {
                return fail(given.is_v6 ? Errno::einval : Errno::enetunreach);
            }
        }
        if (info->interface != 0) {
            way.lower = info->interface > 0 && info->interface < 256
                            ? netif_get_by_index(static_cast<u8_t>(info->interface))
                            : nullptr;
            return way.lower == nullptr ? Outcome<Way>(fail(Errno::enodev)) : way;
        }
    }
    way.lower = ip_route(&way.from, &to);
    return way.lower == nullptr ? Outcome<Way>(fail(Errno::enetunreach)) : way;
}

}  // namespace

Outcome<> UdpCore::send_here(std::span<const std::byte> bytes, const Endpoint* to,
                             const fs::PacketInfo* from) {
    if (to == nullptr && !is_connected()) {
        return fail(Errno::edestaddrreq);
    }
    if (to != nullptr && !to->is_v6 && is_only_v6()) {
        return fail(Errno::enetunreach);
    }
    PV_TRY(make_block());
    const ip_addr_t address = to != nullptr ? to_lwip(destination_of(*to)) : block_->remote_ip;
    static_cast<void>(PV_TRY(source_for(address)));
    const Way way = PV_TRY(way_to(address, block_->local_ip, from));
    if (!broadcast.load(std::memory_order_relaxed) && ip_addr_isbroadcast(&address, way.lower)) {
        return fail(Errno::eacces);
    }
    pbuf* packet = pbuf_alloc(PBUF_TRANSPORT, static_cast<u16_t>(bytes.size()), PBUF_RAM);
    if (packet == nullptr) {
        return fail(Errno::enobufs);
    }
    if (!bytes.empty()) {
        std::memcpy(packet->payload, bytes.data(), bytes.size());
    }
    const u16_t port = to != nullptr ? to->port : block_->remote_port;
    const bool says_from = from != nullptr && !ip_addr_isany(&way.from);
    const err_t error = says_from ? udp_sendto_if_src(block_, packet, &address, port, way.lower, &way.from)
                                  : udp_sendto(block_, packet, &address, port);
    pbuf_free(packet);
    note_names();
    return error == ERR_OK ? Outcome<>() : fail(to_errno(error));
}

}  // namespace pv::net
