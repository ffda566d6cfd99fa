// Echo requests of programs, and their replies (RFC 792, RFC 4443).
// SPDX-License-Identifier: MIT
#include "net/echo_core.hpp"

#include <linux/icmpv6.h>
#include <linux/in.h>
#include <linux/in6.h>

#include <array>
#include <cstring>
#include <new>
#include <utility>

#include "net/checksum.hpp"
#include "net/lwip_endpoint.hpp"

extern "C" {
#include "lwip/icmp.h"
#include "lwip/ip.h"
#include "lwip/raw.h"
}

namespace pv::net {
namespace {

/// What begins an echo request and its reply, of both families.
struct EchoHeader {
    std::uint8_t type = 0;
    std::uint8_t code = 0;
    std::uint16_t checksum = 0;
    std::uint16_t identifier = 0;
    std::uint16_t sequence = 0;
};

std::uint8_t request_of(std::uint16_t family) {
    return family == family_v6 ? ICMPV6_ECHO_REQUEST : ICMP_ECHO;
}

std::uint8_t reply_of(std::uint16_t family) {
    return family == family_v6 ? ICMPV6_ECHO_REPLY : ICMP_ER;
}

}  // namespace

struct EchoCallbacks {
    static u8_t on_received(void* argument, raw_pcb*, pbuf* packet, const ip_addr_t* from) {
        auto& core = *static_cast<EchoCore*>(argument);
        const std::uint16_t begin = ip_current_header_tot_len();
        EchoHeader header;
        if (pbuf_copy_partial(packet, &header, sizeof header, begin) != sizeof header ||
            header.type != reply_of(core.family) || lwip_ntohs(header.identifier) != core.local_.port ||
            (core.is_connected() && !ip_addr_cmp(from, &core.block_->remote_ip))) {
            return 0;
        }
        core.deliver(*packet, begin, from_lwip(*from, 0));
        pbuf_free(packet);
        return 1;
    }
};

Outcome<Ref<DatagramCore>> EchoCore::create(std::uint16_t family) {
    auto core = Ref<EchoCore>::adopt(new (std::nothrow) EchoCore(family));
    if (!core) {
        return fail(Errno::enomem);
    }
    core->local_.is_v6 = core->remote_.is_v6 = family == family_v6;
    return Ref<DatagramCore>(std::move(core));
}

int EchoCore::protocol() const {
    return family == family_v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP;
}

Outcome<> EchoCore::check(std::span<const std::byte> bytes, const Endpoint* to) {
    constexpr std::size_t size_max = 65507;
    EchoHeader header;
    if (bytes.size() > size_max) {
        return fail(Errno::emsgsize);
    }
    if (bytes.size() < sizeof header || (to != nullptr && to->is_v6 != (family == family_v6))) {
        return fail(Errno::einval);
    }
    std::memcpy(&header, bytes.data(), sizeof header);
    return header.type == request_of(family) && header.code == 0 ? Outcome<>() : fail(Errno::einval);
}

Outcome<> EchoCore::make_block() {
    if (block_ != nullptr) {
        return {};
    }
    block_ = raw_new_ip_type(lwip_type(family, true), static_cast<u8_t>(protocol()));
    if (block_ == nullptr) {
        return fail(Errno::enobufs);
    }
    if (family == family_v6) {
        block_->chksum_reqd = 1;
        block_->chksum_offset = offsetof(EchoHeader, checksum);
    }
    raw_recv(block_, EchoCallbacks::on_received, this);
    enlist(*this);
    apply_options();
    return {};
}

void EchoCore::drop_block(bool usable) {
    raw_pcb* const block = std::exchange(block_, nullptr);
    if (block != nullptr && usable) {
        raw_remove(block);
    }
    if (block != nullptr) {
        retire(*this);
    }
}

void EchoCore::apply_options() {
    if (block_ != nullptr) {
        block_->ttl = options.hops.load(std::memory_order_relaxed);
        block_->tos = options.service.load(std::memory_order_relaxed);
    }
}

Outcome<> EchoCore::identify(std::uint16_t wanted) {
    const auto is_free = [this](std::uint16_t identifier) {
        bool taken = false;
        for_each_enlisted([&](SocketCore& core) {
            const SocketFacts facts = core.facts();
            taken |= &core != this && facts.protocol == protocol() && facts.local.port == identifier;
        });
        return !taken;
    };
    constexpr unsigned attempts = 64;
    std::uint16_t identifier = wanted;
    for (unsigned i = 0; wanted == 0 && i < attempts && (identifier == 0 || !is_free(identifier)); ++i) {
        identifier = static_cast<std::uint16_t>(LWIP_RAND());
    }
    if (identifier == 0 || !is_free(identifier)) {
        return fail(Errno::eaddrinuse);
    }
    local_.port = identifier;
    set_names(local_, remote_);
    return {};
}

Outcome<> EchoCore::bind_here(const Endpoint& local) {
    if (is_bound_) {
        return fail(Errno::einval);
    }
    const ip_addr_t address = PV_TRY(to_bind(local, family, family == family_v6));
    PV_TRY(make_block());
    PV_TRY(identify(local.port));
    if (const err_t error = raw_bind(block_, &address); error != ERR_OK) {
        return fail(to_errno(error));
    }
    is_bound_ = true;
    local_.address = local.address;
    set_names(local_, remote_);
    return {};
}

Outcome<> EchoCore::connect_here(const Endpoint& remote) {
    const ip_addr_t to = to_lwip(destination_of(remote));
    const ip_addr_t from = PV_TRY(source_for(to));
    PV_TRY(make_block());
    if (local_.port == 0) {
        PV_TRY(identify(0));
    }
    if (const err_t error = raw_connect(block_, &to); error != ERR_OK) {
        return fail(to_errno(error));
    }
    remote_ = remote;
    if (local_.is_any()) {
        local_.address = from_lwip(from, 0).address;
    }
    set_error(0);
    set_names(local_, remote_);
    set_connected(true);
    tell(fs::poll_event::writable);
    return {};
}

Outcome<> EchoCore::disconnect_here() {
    if (block_ == nullptr || !is_connected()) {
        return {};
    }
    set_connected(false);
    raw_disconnect(block_);
    remote_ = Endpoint{.is_v6 = family == family_v6};
    set_names(local_, remote_);
    return {};
}

Outcome<> EchoCore::send_here(std::span<const std::byte> bytes, const Endpoint* to, const fs::PacketInfo*) {
    if (to == nullptr && !is_connected()) {
        return fail(Errno::edestaddrreq);
    }
    PV_TRY(make_block());
    if (local_.port == 0) {
        PV_TRY(identify(0));
    }
    const ip_addr_t address = to != nullptr ? to_lwip(destination_of(*to)) : block_->remote_ip;
    const ip_addr_t from = PV_TRY(source_for(address));
    const netif* lower = ip_route(&from, &address);
    if (lower == nullptr) {
        return fail(Errno::enetunreach);
    }
    if (!broadcast.load(std::memory_order_relaxed) && ip_addr_isbroadcast(&address, lower)) {
        return fail(Errno::eacces);
    }
    pbuf* packet = pbuf_alloc(PBUF_IP, static_cast<u16_t>(bytes.size()), PBUF_RAM);
    if (packet == nullptr) {
        return fail(Errno::enobufs);
    }
    std::memcpy(packet->payload, bytes.data(), bytes.size());
    auto* header = static_cast<EchoHeader*>(packet->payload);
    header->identifier = lwip_htons(local_.port);
    header->checksum = 0;
    if (family == family_v4) {
        header->checksum = static_cast<std::uint16_t>(
            ~internet_sum({static_cast<const std::byte*>(packet->payload), packet->len}));
    }
    const err_t error = raw_sendto(block_, packet, &address);
    pbuf_free(packet);
    return error == ERR_OK ? Outcome<>() : fail(to_errno(error));
}

}  // namespace pv::net
