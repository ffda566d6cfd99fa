// Datagrams between programs and lwIP.
// SPDX-License-Identifier: MIT
#include "net/udp_core.hpp"

#include <algorithm>
#include <cstring>
#include <new>
#include <utility>

#include "net/lwip_endpoint.hpp"
#include "net/machine.hpp"

extern "C" {
#include "lwip/udp.h"
}

namespace pv::net {
namespace {

/// What a queued datagram costs besides its bytes.
constexpr std::size_t overhead = 256;

}  // namespace

struct UdpCallbacks {
    static void on_received(void* argument, udp_pcb*, pbuf* data, const ip_addr_t* from, u16_t port) {
        UdpCore& core = *static_cast<UdpCore*>(argument);
        std::unique_ptr<Datagram> datagram(new (std::nothrow) Datagram);
        const std::size_t size = data->tot_len;
        if (datagram != nullptr && size != 0) {
            datagram->bytes.reset(new (std::nothrow) std::byte[size]);
            if (datagram->bytes == nullptr) {
                datagram = nullptr;
            } else {
                static_cast<void>(pbuf_copy_partial(data, datagram->bytes.get(), data->tot_len, 0));
            }
        }
        pbuf_free(data);
        if (datagram == nullptr) {
            return;  // as a network may
        }
        datagram->size = size;
        datagram->from = from_lwip(*from, port);
        const std::size_t most = core.receive_max.load(std::memory_order_relaxed);
        const bool kept = core.state.with([&](UdpCore::State& state) {
            if (state.held + size + overhead > most && state.held != 0) {
                return false;
            }
            state.held += size + overhead;
            state.inbox.push_back(*datagram.release());
            core.count_.fetch_add(1, std::memory_order_release);
            return true;
        });
        if (kept) {
            core.tell(fs::poll_event::readable);
        }
    }
};

Outcome<Ref<UdpCore>> UdpCore::create(std::uint16_t family) {
    auto core = Ref<UdpCore>::adopt(new (std::nothrow) UdpCore(family));
    if (!core) {
        return fail(Errno::enomem);
    }
    core->state.with([&](State& state) { state.local.is_v6 = state.remote.is_v6 = family == family_v6; });
    return core;
}

UdpCore::~UdpCore() {
    state.unguarded().inbox.clear_and_dispose([](Datagram* datagram) { delete datagram; });
}

void UdpCore::tell(std::uint32_t events) {
    queue.wake_all();
    poll_queue.notify(events);
}

Outcome<> UdpCore::bind(const Endpoint& local) {
    return on_network([&] { return bind_here(local); });
}

Outcome<> UdpCore::connect(const Endpoint& remote) {
    return on_network([&] { return connect_here(remote); });
}

Outcome<> UdpCore::disconnect() {
    return on_network([&] { return disconnect_here(); });
}

Outcome<> UdpCore::send(std::span<const std::byte> bytes, const Endpoint* to) {
    return on_network([&] { return send_here(bytes, to); });
}

void UdpCore::release() {
    released_.store(true, std::memory_order_release);
    ask(*this);
}

void UdpCore::push() {
    ask(*this);
}

Datagram* UdpCore::first() {
    return state.with([](State& now) { return now.inbox.empty() ? nullptr : &now.inbox.front(); });
}

void UdpCore::remove_first() {
    std::unique_ptr<Datagram> gone;
    state.with([&](State& now) {
        gone.reset(&now.inbox.front());
        now.inbox.pop_front();
        now.held -= gone->size + overhead;
        count_.fetch_sub(1, std::memory_order_release);
    });
}

Outcome<> UdpCore::make_block() {
    if (block_ != nullptr) {
        return {};
    }
    block_ = udp_new_ip_type(lwip_type(family, options.only_v6.load(std::memory_order_relaxed)));
    if (block_ == nullptr) {
        return fail(Errno::enobufs);
    }
    udp_recv(block_, UdpCallbacks::on_received, this);
    enlist(*this);
    apply_options();
    return {};
}

void UdpCore::drop_block() {
    if (block_ != nullptr) {
        udp_remove(std::exchange(block_, nullptr));
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
    const Endpoint local = from_lwip(block_->local_ip, block_->local_port);
    const Endpoint remote = from_lwip(block_->remote_ip, block_->remote_port);
    state.with([&](State& now) {
        now.local = local;
        now.remote = remote;
    });
}

Outcome<> UdpCore::bind_here(const Endpoint& local) {
    if (block_ != nullptr && block_->local_port != 0) {
        return fail(Errno::einval);
    }
    const ip_addr_t address = PV_TRY(to_bind(local, family, options.only_v6.load(std::memory_order_relaxed)));
    // The type is chosen when the block is made.
    const Ref<UdpCore> keep(*this);
    drop_block();
    PV_TRY(make_block());
    if (const err_t error = udp_bind(block_, &address, local.port); error != ERR_OK) {
        drop_block();
        return fail(error == ERR_USE ? Errno::eaddrinuse : to_errno(error));
    }
    is_bound_ = true;
    has_address_ = !local.is_any();
    note_names();
    return {};
}

Outcome<> UdpCore::connect_here(const Endpoint& remote) {
    if (!remote.is_v6 && options.only_v6.load(std::memory_order_relaxed)) {
        return fail(Errno::enetunreach);
    }
    const ip_addr_t to = to_lwip(destination_of(remote));
    const ip_addr_t from = PV_TRY(source_for(to));
    PV_TRY(make_block());
    const ip_addr_t any = PV_TRY(to_bind(Endpoint{.is_v6 = family == family_v6}, family,
                                         options.only_v6.load(std::memory_order_relaxed)));
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
    error_.store(0, std::memory_order_seq_cst);
    note_names();
    connected_.store(true, std::memory_order_release);
    tell(fs::poll_event::writable);
    return {};
}

Outcome<> UdpCore::disconnect_here() {
    if (block_ == nullptr || !is_connected()) {
        return {};
    }
    connected_.store(false, std::memory_order_release);
    if (!is_bound_) {
        const Ref<UdpCore> keep(*this);
        drop_block();
        state.with([&](State& now) { now.local = now.remote = Endpoint{.is_v6 = family == family_v6}; });
        return {};
    }
    udp_disconnect(block_);
    if (!has_address_) {
        block_->local_ip = PV_TRY(to_bind(Endpoint{.is_v6 = family == family_v6}, family,
                                          options.only_v6.load(std::memory_order_relaxed)));
    }
    note_names();
    return {};
}

Outcome<> UdpCore::send_here(std::span<const std::byte> bytes, const Endpoint* to) {
    if (to == nullptr && !is_connected()) {
        return fail(Errno::edestaddrreq);
    }
    if (to != nullptr && !to->is_v6 && options.only_v6.load(std::memory_order_relaxed)) {
        return fail(Errno::enetunreach);
    }
    PV_TRY(make_block());
    const ip_addr_t address = to != nullptr ? to_lwip(destination_of(*to)) : block_->remote_ip;
    static_cast<void>(PV_TRY(source_for(address)));
    const netif* lower = ip_route(&block_->local_ip, &address);
    if (lower == nullptr) {
        return fail(Errno::enetunreach);
    }
    if (!broadcast.load(std::memory_order_relaxed) && ip_addr_isbroadcast(&address, lower)) {
        return fail(Errno::eacces);
    }
    pbuf* packet = pbuf_alloc(PBUF_TRANSPORT, static_cast<u16_t>(bytes.size()), PBUF_RAM);
    if (packet == nullptr) {
        return fail(Errno::enobufs);
    }
    if (!bytes.empty()) {
        std::memcpy(packet->payload, bytes.data(), bytes.size());
    }
    const err_t error = udp_sendto(block_, packet, &address, to != nullptr ? to->port : block_->remote_port);
    pbuf_free(packet);
    note_names();
    return error == ERR_OK ? Outcome<>() : fail(to_errno(error));
}

SocketFacts UdpCore::facts() {
    SocketFacts facts{.family = family, .state = is_connected() ? 1U : 7U};
    state.with([&](const State& now) {
        facts.local = now.local;
        facts.remote = now.remote;
        facts.received = now.held;
    });
    return facts;
}

void UdpCore::serve() {
    apply_options();
    if (released_.load(std::memory_order_acquire)) {
        drop_block();
    }
}

void UdpCore::network_ends(bool usable) {
    const Ref<UdpCore> keep(*this);
    if (usable) {
        drop_block();
    } else {
        block_ = nullptr;
        retire(*this);
    }
    error_.store(number(Errno::enetdown), std::memory_order_release);
    tell(fs::poll_event::readable | fs::poll_event::always);
}

void UdpCore::unreachable(const Endpoint& local, const Endpoint& remote) {
    const bool is_mine = is_connected() && state.with([&](const State& now) {
        return now.local.port == local.port && now.remote.port == remote.port &&
               now.remote.is_v6 == remote.is_v6 && now.remote.address == remote.address;
    });
    if (is_mine) {
        error_.store(number(Errno::econnrefused), std::memory_order_release);
        tell(fs::poll_event::error);
    }
}

}  // namespace pv::net
