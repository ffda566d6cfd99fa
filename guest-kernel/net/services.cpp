// Echo and discard, by lwIP's callbacks.
// SPDX-License-Identifier: MIT
#include "net/services.hpp"

#include <array>

#include "base/atomic.hpp"
#include "base/log.hpp"
#include "task/wait_queue.hpp"

extern "C" {
#include "lwip/tcp.h"
#include "lwip/udp.h"
}

namespace pv::net {
namespace {

/// One connection of either service.
struct Connection {
    tcp_pcb* pcb = nullptr;  ///< null: free
    pbuf* owed = nullptr;    ///< echo: what came and is not sent yet; its first `sent` bytes are
    std::uint16_t sent = 0;
    bool echoes = false;
    bool closing = false;  ///< the other side is done; ends when nothing is owed
    Instant moved;
};

// All of it is the network's thread's, the counters apart.
constinit std::array<Connection, most_connections> connections{};
constinit tcp_pcb* echo_listener = nullptr;
constinit tcp_pcb* discard_listener = nullptr;
constinit udp_pcb* echo_socket = nullptr;
constinit udp_pcb* discard_socket = nullptr;

struct Counts {
    Atomic<std::uint64_t> connections{0};
    Atomic<std::uint64_t> ended{0};
    Atomic<std::uint64_t> refused{0};
    Atomic<std::uint64_t> bytes{0};
    Atomic<std::uint64_t> datagrams{0};
    Atomic<std::uint64_t> datagram_bytes{0};
};

constinit Counts counts;
constinit task::WaitQueue someone_ended;

// One thread writes: no locked instruction is needed.
void add(Atomic<std::uint64_t>& count, std::uint64_t n) {
    count.store(count.load(std::memory_order_relaxed) + n, std::memory_order_release);
}

void forget(Connection& connection) {
    if (connection.owed != nullptr) {
        pbuf_free(connection.owed);
    }
    connection = Connection{};
    add(counts.ended, 1);
    someone_ended.wake_all();
}

void detach(tcp_pcb* pcb) {
    tcp_arg(pcb, nullptr);
    tcp_recv(pcb, nullptr);
    tcp_sent(pcb, nullptr);
    tcp_err(pcb, nullptr);
}

/// True when the control block is gone with it, which lwIP's callbacks must be told by ERR_ABRT.
bool end(Connection& connection) {
    tcp_pcb* pcb = connection.pcb;
    detach(pcb);
    forget(connection);
    if (tcp_close(pcb) == ERR_OK) {
        return false;
    }
    tcp_abort(pcb);
    return true;
}

/// Writes as much as there is room for of what is owed; the window opens by that much. From a callback, after
/// which lwIP sends by itself.
void send_owed(Connection& connection) {
    while (connection.owed != nullptr) {
        pbuf* part = connection.owed;
        const std::uint16_t room =
            static_cast<std::uint16_t>(LWIP_MIN(tcp_sndbuf(connection.pcb), tcpwnd_size_t{0xffff}));
        const auto length = LWIP_MIN(static_cast<std::uint16_t>(part->len - connection.sent), room);
        if (length == 0 && part->len != connection.sent) {
            break;
        }
        if (length != 0 &&
            tcp_write(connection.pcb, static_cast<const char*>(part->payload) + connection.sent, length,
                      TCP_WRITE_FLAG_COPY) != ERR_OK) {
            break;  // no memory just now: what is acknowledged makes some, or lwIP's poll comes
        }
        connection.sent = static_cast<std::uint16_t>(connection.sent + length);
        tcp_recved(connection.pcb, length);
        if (connection.sent == part->len) {
            connection.owed = part->next;
            if (connection.owed != nullptr) {
                pbuf_ref(connection.owed);
            }
            connection.sent = 0;
            pbuf_free(part);
        }
    }
}

err_t on_received(void* argument, tcp_pcb* pcb, pbuf* data, err_t) {
    auto& connection = *static_cast<Connection*>(argument);
    connection.moved = now();
    if (data == nullptr) {
        connection.closing = true;
        return connection.owed == nullptr && end(connection) ? ERR_ABRT : ERR_OK;
    }
    add(counts.bytes, data->tot_len);
    if (!connection.echoes) {
        tcp_recved(pcb, data->tot_len);
        pbuf_free(data);
        return ERR_OK;
    }
    if (connection.owed == nullptr) {
        connection.owed = data;
    } else {
        pbuf_cat(connection.owed, data);
    }
    send_owed(connection);
    return ERR_OK;
}

err_t on_sent(void* argument, tcp_pcb*, std::uint16_t) {
    auto& connection = *static_cast<Connection*>(argument);
    connection.moved = now();
    send_owed(connection);
    return connection.closing && connection.owed == nullptr && end(connection) ? ERR_ABRT : ERR_OK;
}

err_t on_poll(void* argument, tcp_pcb*) {
    auto& connection = *static_cast<Connection*>(argument);
    send_owed(connection);
    return connection.closing && connection.owed == nullptr && end(connection) ? ERR_ABRT : ERR_OK;
}

void on_error(void* argument, err_t) {
    auto& connection = *static_cast<Connection*>(argument);
    connection.pcb = nullptr;  // lwIP freed it
    forget(connection);
}

err_t accept(tcp_pcb* pcb, err_t error, bool echoes) {
    if (error != ERR_OK || pcb == nullptr) {
        return ERR_VAL;
    }
    for (Connection& connection : connections) {
        if (connection.pcb == nullptr) {
            connection = Connection{.pcb = pcb, .echoes = echoes, .moved = now()};
            add(counts.connections, 1);
            tcp_arg(pcb, &connection);
            tcp_recv(pcb, on_received);
            tcp_sent(pcb, on_sent);
            tcp_err(pcb, on_error);
            tcp_poll(pcb, on_poll, 1);
            tcp_nagle_disable(pcb);
            return ERR_OK;
        }
    }
    add(counts.refused, 1);
    tcp_abort(pcb);
    return ERR_ABRT;
}

err_t accept_echo(void*, tcp_pcb* pcb, err_t error) {
    return accept(pcb, error, true);
}

err_t accept_discard(void*, tcp_pcb* pcb, err_t error) {
    return accept(pcb, error, false);
}

void on_datagram(void* echoes, udp_pcb* pcb, pbuf* data, const ip_addr_t* from, std::uint16_t port) {
    add(counts.datagrams, 1);
    add(counts.datagram_bytes, data->tot_len);
    // Two echo services that are told of each other by a forged datagram would go on for ever (CERT
    // CA-1996-01).
    if (echoes != nullptr && port >= 1024) {
        (void)udp_sendto(pcb, data, from, port);
    }
    pbuf_free(data);
}

tcp_pcb* listen(std::uint16_t port, tcp_accept_fn on_accept) {
    tcp_pcb* pcb = tcp_new_ip_type(IPADDR_TYPE_ANY);
    if (pcb == nullptr) {
        return nullptr;
    }
    tcp_pcb* listener = tcp_bind(pcb, IP_ANY_TYPE, port) == ERR_OK ? tcp_listen(pcb) : nullptr;
    if (listener == nullptr) {
        tcp_abort(pcb);
        return nullptr;
    }
    tcp_accept(listener, on_accept);
    return listener;
}

udp_pcb* receive(std::uint16_t port, bool echoes) {
    udp_pcb* pcb = udp_new_ip_type(IPADDR_TYPE_ANY);
    if (pcb != nullptr && udp_bind(pcb, IP_ANY_TYPE, port) != ERR_OK) {
        udp_remove(pcb);
        pcb = nullptr;
    }
    if (pcb != nullptr) {
        udp_recv(pcb, on_datagram, echoes ? pcb : nullptr);
    }
    return pcb;
}

}  // namespace

void start_services() {
    echo_listener = listen(echo_port, accept_echo);
    discard_listener = listen(discard_port, accept_discard);
    echo_socket = receive(echo_port, true);
    discard_socket = receive(discard_port, false);
    if (echo_listener == nullptr || discard_listener == nullptr || echo_socket == nullptr ||
        discard_socket == nullptr) {
        log::error("network: echo and discard cannot all be served: no room");
    }
}

void tick_services() {
    for (Connection& connection : connections) {
        if (connection.pcb != nullptr && now() >= connection.moved + idle_limit) {
            log::info("network: a connection to port {} moved nothing for {}: it is ended",
                      connection.echoes ? echo_port : discard_port, idle_limit);
            tcp_pcb* pcb = connection.pcb;
            detach(pcb);
            forget(connection);
            tcp_abort(pcb);
        }
    }
}

void stop_services() {
    for (Connection& connection : connections) {
        if (connection.pcb != nullptr) {
            tcp_pcb* pcb = connection.pcb;
            detach(pcb);
            forget(connection);
            tcp_abort(pcb);
        }
    }
    for (tcp_pcb** listener : {&echo_listener, &discard_listener}) {
        if (*listener != nullptr) {
            (void)tcp_close(*listener);
            *listener = nullptr;
        }
    }
    for (udp_pcb** socket : {&echo_socket, &discard_socket}) {
        if (*socket != nullptr) {
            udp_remove(*socket);
            *socket = nullptr;
        }
    }
}

ServiceCounts service_counts() {
    return {counts.connections.load(std::memory_order_acquire),
            counts.ended.load(std::memory_order_acquire),
            counts.refused.load(std::memory_order_acquire),
            counts.bytes.load(std::memory_order_acquire),
            counts.datagrams.load(std::memory_order_acquire),
            counts.datagram_bytes.load(std::memory_order_acquire)};
}

Result<> wait_for_served(std::uint64_t connections_ended, Deadline deadline) {
    return someone_ended.wait(
        deadline, [&] { return counts.ended.load(std::memory_order_acquire) >= connections_ended; });
}

}  // namespace pv::net
