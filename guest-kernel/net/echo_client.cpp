// TCP to a peer's echo service.
// SPDX-License-Identifier: MIT
#include "net/echo_client.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>

#include "base/atomic.hpp"
#include "net/services.hpp"

extern "C" {
#include "lwip/tcp.h"
}

namespace pv::net {
namespace {

/// Byte `at` of what is sent: repeats nowhere near.
std::uint8_t pattern(std::uint64_t at) {
    const std::uint64_t mixed = (at / 7 + 1) * 0x9e37'79b9'7f4a'7c15ULL;
    return static_cast<std::uint8_t>(mixed >> 56 ^ at);
}

/// The network's thread's, but for `ended`, and everything once that is set.
struct Client {
    tcp_pcb* pcb = nullptr;
    std::uint64_t bytes = 0;
    EchoFigures figures;
    bool failed = false;
    Atomic<bool> ended{false};
    task::WaitQueue over;

    void end(bool good) {
        if (pcb != nullptr) {
            tcp_arg(pcb, nullptr);
            tcp_recv(pcb, nullptr);
            tcp_sent(pcb, nullptr);
            tcp_err(pcb, nullptr);
        }
        failed = !good;
        ended.store(true, std::memory_order_release);
        over.wake_all();
    }

    void send() {
        std::array<std::uint8_t, 1460> part;
        while (figures.sent < bytes) {
            const std::size_t length =
                std::min<std::uint64_t>({part.size(), bytes - figures.sent, tcp_sndbuf(pcb)});
            if (length == 0) {
                break;
            }
            for (std::size_t i = 0; i < length; ++i) {
                part[i] = pattern(figures.sent + i);
            }
            if (tcp_write(pcb, part.data(), static_cast<std::uint16_t>(length), TCP_WRITE_FLAG_COPY) !=
                ERR_OK) {
                break;
            }
            figures.sent += length;
        }
    }

    void compare(const pbuf* data) {
        for (const pbuf* part = data; part != nullptr; part = part->next) {
            const auto* bytes_here = static_cast<const std::uint8_t*>(part->payload);
            for (std::size_t i = 0; i < part->len; ++i) {
                figures.wrong += bytes_here[i] == pattern(figures.returned + i) ? 0U : 1U;
            }
            figures.returned += part->len;
        }
    }
};

err_t on_received(void* self, tcp_pcb* pcb, pbuf* data, err_t) {
    auto& client = *static_cast<Client*>(self);
    if (data == nullptr) {
        client.end(false);  // it closed before all came back
        tcp_abort(pcb);
        return ERR_ABRT;
    }
    client.compare(data);
    tcp_recved(pcb, data->tot_len);
    pbuf_free(data);
    if (client.figures.returned >= client.bytes) {
        client.end(true);
        if (tcp_close(pcb) != ERR_OK) {
            tcp_abort(pcb);
            return ERR_ABRT;
        }
    }
    return ERR_OK;
}

err_t on_sent(void* self, tcp_pcb*, std::uint16_t) {
    static_cast<Client*>(self)->send();
    return ERR_OK;
}

err_t on_connected(void* self, tcp_pcb*, err_t) {
    static_cast<Client*>(self)->send();
    return ERR_OK;
}

err_t on_poll(void* self, tcp_pcb*) {
    if (self != nullptr) {
        static_cast<Client*>(self)->send();
    }
    return ERR_OK;
}

void on_error(void* self, err_t) {
    auto& client = *static_cast<Client*>(self);
    client.pcb = nullptr;  // lwIP freed it
    client.end(false);
}

void begin(Client& client, const ip_addr_t& peer) {
    client.pcb = tcp_new_ip_type(IPADDR_TYPE_V4);
    if (client.pcb == nullptr) {
        client.end(false);
        return;
    }
    tcp_arg(client.pcb, &client);
    tcp_recv(client.pcb, on_received);
    tcp_sent(client.pcb, on_sent);
    tcp_poll(client.pcb, on_poll, 1);
    tcp_err(client.pcb, on_error);
    if (tcp_connect(client.pcb, &peer, echo_port, on_connected) != ERR_OK) {
        tcp_pcb* pcb = client.pcb;
        client.end(false);
        tcp_abort(pcb);
    }
}

}  // namespace

Result<> echo(Stack& stack, const Ip4& peer, std::uint64_t bytes, Deadline deadline, EchoFigures& figures) {
    Client client;
    client.bytes = bytes;
    ip_addr_t address{};
    ip_addr_set_ip4_u32(&address, std::bit_cast<std::uint32_t>(peer.bytes));
    const Instant start = now();
    PV_TRY(stack.call(deadline, [&] { begin(client, address); }));
    const auto ended = [&] { return client.ended.load(std::memory_order_acquire); };
    const bool in_time = client.over.wait(deadline, ended).has_value();
    // The network must have forgotten this object, or have stopped for good.
    while (!ended() && !stack.stopped()) {
        (void)stack.call(Deadline::after(Duration::seconds(10)), [&] {
            if (tcp_pcb* pcb = client.pcb; !ended() && pcb != nullptr) {
                client.end(false);
                tcp_abort(pcb);
            }
        });
    }
    figures = client.figures;
    figures.span = now() - start;
    if (!in_time) {
        return fail(stack.stopped() ? Error::device_failed : Error::timed_out);
    }
    return client.failed ? fail(Error::io) : Result<>{};
}

}  // namespace pv::net
