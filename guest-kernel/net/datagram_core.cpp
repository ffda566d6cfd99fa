// Datagrams between programs and lwIP: their queue, and who is told.
// SPDX-License-Identifier: MIT
#include "net/datagram_core.hpp"

#include <new>

#include "net/lwip_endpoint.hpp"
#include "net/machine.hpp"

extern "C" {
#include "lwip/ip.h"
#include "lwip/pbuf.h"
}

namespace pv::net {
namespace {

/// What a queued datagram costs besides its bytes.
constexpr std::size_t overhead = 256;

}  // namespace

DatagramCore::DatagramCore(std::uint16_t of_family) : family(of_family) {
    state.with([&](State& now) { now.local.is_v6 = now.remote.is_v6 = family == family_v6; });
}

DatagramCore::~DatagramCore() {
    state.unguarded().inbox.clear_and_dispose([](Datagram* datagram) { delete datagram; });
}

void DatagramCore::deliver(const pbuf& packet, std::size_t begin, const Endpoint& from) {
    std::unique_ptr<Datagram> datagram(new (std::nothrow) Datagram);
    const std::size_t size = packet.tot_len - begin;
    if (datagram != nullptr && size != 0) {
        datagram->bytes.reset(new (std::nothrow) std::byte[size]);
        if (datagram->bytes == nullptr) {
            datagram = nullptr;
        } else {
            static_cast<void>(pbuf_copy_partial(&packet, datagram->bytes.get(), static_cast<u16_t>(size),
                                                static_cast<u16_t>(begin)));
        }
    }
    if (datagram == nullptr) {
        return;
    }
    datagram->size = size;
    datagram->from = from;
    datagram->to = from_lwip(*ip_current_dest_addr(), 0);
    datagram->interface = netif_get_index(ip_current_input_netif());
    datagram->hops =
        ip_current_is_v6() != 0 ? IP6H_HOPLIM(ip6_current_header()) : IPH_TTL(ip4_current_header());
    const std::size_t most = receive_max.load(std::memory_order_relaxed);
    const bool kept = state.with([&](State& now) {
        if (now.held + size + overhead > most && now.held != 0) {
            return false;
        }
        now.held += size + overhead;
        now.inbox.push_back(*datagram.release());
        count_.fetch_add(1, std::memory_order_release);
        return true;
    });
    if (kept) {
        tell(fs::poll_event::readable);
    }
}

void DatagramCore::tell(std::uint32_t events) {
    queue.wake_all();
    poll_queue.notify(events);
}

Outcome<> DatagramCore::bind(const Endpoint& local) {
    return on_network([&] { return bind_here(local); });
}

Outcome<> DatagramCore::connect(const Endpoint& remote) {
    return on_network([&] { return connect_here(remote); });
}

Outcome<> DatagramCore::disconnect() {
    return on_network([&] { return disconnect_here(); });
}

Outcome<> DatagramCore::send(std::span<const std::byte> bytes, const Endpoint* to,
                             const fs::PacketInfo* from) {
    return on_network([&] { return send_here(bytes, to, from); });
}

void DatagramCore::release() {
    released_.store(true, std::memory_order_release);
    ask(*this);
}

void DatagramCore::push() {
    ask(*this);
}

Datagram* DatagramCore::first() {
    return state.with([](State& now) { return now.inbox.empty() ? nullptr : &now.inbox.front(); });
}

void DatagramCore::remove_first() {
    std::unique_ptr<Datagram> gone;
    state.with([&](State& now) {
        gone.reset(&now.inbox.front());
        now.inbox.pop_front();
        now.held -= gone->size + overhead;
        count_.fetch_sub(1, std::memory_order_release);
    });
}

void DatagramCore::set_names(const Endpoint& local, const Endpoint& remote) {
    state.with([&](State& now) {
        now.local = local;
        now.remote = remote;
    });
}

SocketFacts DatagramCore::facts() {
    SocketFacts facts{.protocol = protocol(), .family = family, .state = is_connected() ? 1U : 7U};
    state.with([&](const State& now) {
        facts.local = now.local;
        facts.remote = now.remote;
        facts.received = now.held;
    });
    return facts;
}

void DatagramCore::serve() {
    apply_options();
    if (released_.load(std::memory_order_acquire)) {
        drop_block(true);
    }
}

void DatagramCore::network_ends(bool usable) {
    const Ref<DatagramCore> keep(*this);
    drop_block(usable);
    error_.store(number(Errno::enetdown), std::memory_order_release);
    tell(fs::poll_event::readable | fs::poll_event::always);
}

void DatagramCore::unreachable(const Endpoint& local, const Endpoint& remote) {
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
