// Traffic to measure.
// SPDX-License-Identifier: MIT
#include "net/traffic.hpp"

#include <algorithm>
#include <array>
#include <bit>

#include "base/atomic.hpp"
#include "net/services.hpp"

extern "C" {
#include "lwip/tcp.h"
#include "lwip/udp.h"
}

namespace pv::net {
namespace {

using namespace literals;

/// What is sent: never changes, so that lwIP need not copy it.
constexpr std::array<char, 65'536> content{};

/// After so long without an answer, what is under way is lost.
constexpr Duration lost_after = 200_ms;

/// The network's thread's, but for the atomics.
struct Traffic {
    TrafficPlan plan;
    ip_addr_t peer{};
    tcp_pcb* stream = nullptr;
    udp_pcb* socket = nullptr;
    std::uint64_t sent = 0;
    std::uint64_t under_way = 0;
    Instant begun;
    Instant over_at;
    bool failed = false;
    Atomic<std::uint64_t> done{0};
    Atomic<bool> over{false};
    task::WaitQueue changed;

    void end(bool good) {
        if (stream != nullptr) {
            tcp_arg(stream, nullptr);
            tcp_recv(stream, nullptr);
            tcp_sent(stream, nullptr);
            tcp_err(stream, nullptr);
            tcp_poll(stream, nullptr, 0);
        }
        failed = !good;
        over_at = now();
        over.store(true, std::memory_order_release);
        changed.wake_all();
    }

    void count(std::uint64_t more) {
        done.store(done.load(std::memory_order_relaxed) + more, std::memory_order_release);
    }

    [[nodiscard]] bool complete() const { return done.load(std::memory_order_relaxed) >= plan.count; }

    /// lwIP sends by itself what its callbacks wrote. In large portions: each write walks what waits already.
    void send_stream() {
        constexpr std::uint64_t portion = TCP_SND_BUF / 8;  // lwIP tells of 65,535 at most
        if (tcp_sndbuf(stream) < portion && plan.count - sent > portion) {
            return;
        }
        while (sent < plan.count) {
            const auto length = static_cast<std::uint16_t>(
                std::min<std::uint64_t>({0xffff, plan.count - sent, tcp_sndbuf(stream)}));
            if (length == 0 || tcp_write(stream, content.data(), length, 0) != ERR_OK) {
                break;
            }
            sent += length;
        }
    }

    void send_datagrams() {
        for (; under_way < plan.depth && done.load(std::memory_order_relaxed) + under_way < plan.count;
             ++under_way) {
            pbuf* data = pbuf_alloc(PBUF_TRANSPORT, static_cast<std::uint16_t>(plan.size), PBUF_RAM);
            if (data == nullptr) {
                return;
            }
            (void)pbuf_take(data, content.data(), static_cast<std::uint16_t>(plan.size));
            const err_t result = udp_send(socket, data);
            pbuf_free(data);
            if (result != ERR_OK) {
                return;
            }
        }
    }
};

err_t on_sent(void* self, tcp_pcb* pcb, std::uint16_t bytes) {
    auto& traffic = *static_cast<Traffic*>(self);
    traffic.count(bytes);
    if (!traffic.complete()) {
        traffic.send_stream();
        return ERR_OK;
    }
    traffic.end(true);
    if (tcp_close(pcb) != ERR_OK) {
        tcp_abort(pcb);
        return ERR_ABRT;
    }
    return ERR_OK;
}

err_t on_received(void* self, tcp_pcb* pcb, pbuf* data, err_t) {
    if (data != nullptr) {
        tcp_recved(pcb, data->tot_len);
        pbuf_free(data);
        return ERR_OK;
    }
    static_cast<Traffic*>(self)->end(false);
    tcp_abort(pcb);
    return ERR_ABRT;
}

err_t on_connected(void* self, tcp_pcb*, err_t) {
    static_cast<Traffic*>(self)->begun = now();
    static_cast<Traffic*>(self)->send_stream();
    return ERR_OK;
}

err_t on_poll(void* self, tcp_pcb*) {
    if (self != nullptr) {
        static_cast<Traffic*>(self)->send_stream();
    }
    return ERR_OK;
}

void on_error(void* self, err_t) {
    auto& traffic = *static_cast<Traffic*>(self);
    traffic.stream = nullptr;  // lwIP freed it
    traffic.end(false);
}

void on_datagram(void* self, udp_pcb*, pbuf* data, const ip_addr_t*, std::uint16_t) {
    auto& traffic = *static_cast<Traffic*>(self);
    pbuf_free(data);
    if (traffic.over.load(std::memory_order_relaxed)) {
        return;
    }
    traffic.count(1);
    traffic.under_way -= traffic.under_way > 0 ? 1U : 0U;
    if (traffic.complete()) {
        traffic.end(true);
    } else {
        traffic.send_datagrams();
    }
}

void begin_stream(Traffic& traffic) {
    traffic.stream = tcp_new_ip_type(IPADDR_TYPE_V4);
    if (traffic.stream == nullptr) {
        traffic.end(false);
        return;
    }
    tcp_arg(traffic.stream, &traffic);
    tcp_recv(traffic.stream, on_received);
    tcp_sent(traffic.stream, on_sent);
    tcp_poll(traffic.stream, on_poll, 1);
    tcp_err(traffic.stream, on_error);
    if (tcp_connect(traffic.stream, &traffic.peer, discard_port, on_connected) != ERR_OK) {
        tcp_pcb* pcb = traffic.stream;
        traffic.end(false);
        tcp_abort(pcb);
    }
}

void begin_datagrams(Traffic& traffic) {
    traffic.socket = udp_new_ip_type(IPADDR_TYPE_V4);
    if (traffic.socket == nullptr || udp_connect(traffic.socket, &traffic.peer, echo_port) != ERR_OK) {
        traffic.end(false);
        return;
    }
    udp_recv(traffic.socket, on_datagram, &traffic);
    traffic.begun = now();
    traffic.send_datagrams();
}

/// Until it is over, or `deadline`; datagrams that were lost are sent again meanwhile.
bool wait_until_over(Stack& stack, Traffic& traffic, Deadline deadline) {
    const auto over = [&] { return traffic.over.load(std::memory_order_acquire); };
    while (!over() && !deadline.expired() && !stack.stopped()) {
        const std::uint64_t before = traffic.done.load(std::memory_order_acquire);
        const bool ended =
            traffic.changed.wait(earlier(deadline, Deadline::after(lost_after)), over).has_value();
        if (!ended && !traffic.plan.stream && traffic.done.load(std::memory_order_acquire) == before) {
            (void)stack.call(deadline, [&] {
                if (!over()) {
                    traffic.under_way = 0;
                    traffic.send_datagrams();
                }
            });
        }
    }
    return over();
}

}  // namespace

Result<Duration> traffic(Stack& stack, const TrafficPlan& plan, Deadline deadline) {
    Traffic traffic;
    traffic.plan = plan;
    ip_addr_set_ip4_u32(&traffic.peer, std::bit_cast<std::uint32_t>(plan.peer.bytes));
    PV_TRY(stack.call(deadline, [&] { plan.stream ? begin_stream(traffic) : begin_datagrams(traffic); }));
    const bool in_time = wait_until_over(stack, traffic, deadline);
    // The network must have forgotten this object, or have stopped for good.
    bool forgotten = false;
    while (!forgotten && !stack.stopped()) {
        forgotten = stack
                        .call(Deadline::after(10_s),
                              [&] {
                                  if (tcp_pcb* pcb = traffic.stream;
                                      !traffic.over.load(std::memory_order_seq_cst) && pcb != nullptr) {
                                      traffic.end(false);
                                      tcp_abort(pcb);
                                  }
                                  if (traffic.socket != nullptr) {
                                      udp_remove(traffic.socket);
                                  }
                              })
                        .has_value();
    }
    if (!in_time) {
        return fail(stack.stopped() ? Error::device_failed : Error::timed_out);
    }
    return traffic.failed ? fail(Error::io) : Result<Duration>{traffic.over_at - traffic.begun};
}

}  // namespace pv::net
