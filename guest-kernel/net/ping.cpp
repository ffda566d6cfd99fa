// Echo requests to a peer.
// SPDX-License-Identifier: MIT
#include "net/ping.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>

#include "base/atomic.hpp"
#include "net/checksum.hpp"

extern "C" {
#include "lwip/icmp.h"
#include "lwip/prot/ip4.h"
#include "lwip/raw.h"
}

namespace pv::net {
namespace {

constexpr std::size_t longest = 1400;

/// One ping at a time; shared with the network's thread.
struct Ping {
    enum class State : std::uint8_t { idle, asked, right, wrong };

    raw_pcb* pcb = nullptr;  // the network's thread's
    ip_addr_t peer{};
    std::uint16_t id = 0;
    std::uint16_t sequence = 0;
    std::size_t length = 0;
    Atomic<State> state{State::idle};
    task::WaitQueue answered;

    [[nodiscard]] std::byte at(std::size_t i) const {
        return static_cast<std::byte>((sequence * 167U + i * 13U + (i >> 8)) & 0xff);
    }

    void ask() {
        state.store(State::asked, std::memory_order_release);
        pbuf* packet =
            pbuf_alloc(PBUF_IP, static_cast<std::uint16_t>(sizeof(icmp_echo_hdr) + length), PBUF_RAM);
        if (packet == nullptr) {
            return;  // as if it were lost
        }
        auto* header = static_cast<icmp_echo_hdr*>(packet->payload);
        *header = icmp_echo_hdr{};
        header->type = ICMP_ECHO;
        header->id = lwip_htons(id);
        header->seqno = lwip_htons(sequence);
        auto* data = static_cast<std::byte*>(packet->payload) + sizeof(icmp_echo_hdr);
        for (std::size_t i = 0; i < length; ++i) {
            data[i] = at(i);
        }
        header->chksum = static_cast<std::uint16_t>(
            ~internet_sum({static_cast<const std::byte*>(packet->payload), packet->len}));
        (void)raw_sendto(pcb, packet, &peer);
        pbuf_free(packet);
    }

    /// Whether the packet was meant for this one.
    bool take(const pbuf* packet) {
        icmp_echo_hdr header{};
        const std::size_t ip =
            packet->len == 0 ? 0 : (*static_cast<const std::uint8_t*>(packet->payload) & 15U) * 4U;
        if (packet->tot_len < ip + sizeof header ||
            pbuf_copy_partial(packet, &header, sizeof header, static_cast<std::uint16_t>(ip)) !=
                sizeof header ||
            header.type != ICMP_ER || header.id != lwip_htons(id)) {
            return false;
        }
        if (state.load(std::memory_order_acquire) != State::asked || header.seqno != lwip_htons(sequence)) {
            return true;  // late, or twice
        }
        bool right = packet->tot_len == ip + sizeof header + length;
        std::array<std::byte, 64> part;
        for (std::size_t i = 0; i < length && right; i += part.size()) {
            const std::size_t count = std::min(part.size(), length - i);
            right = pbuf_copy_partial(packet, part.data(), static_cast<std::uint16_t>(count),
                                      static_cast<std::uint16_t>(ip + sizeof header + i)) == count;
            for (std::size_t j = 0; j < count && right; ++j) {
                right = part[j] == at(i + j);
            }
        }
        state.store(right ? State::right : State::wrong, std::memory_order_release);
        answered.wake_all();
        return true;
    }
};

std::uint8_t on_packet(void* self, raw_pcb*, pbuf* packet, const ip_addr_t*) {
    if (!static_cast<Ping*>(self)->take(packet)) {
        return 0;
    }
    pbuf_free(packet);
    return 1;
}

Ping::State one(Stack& stack, Ping& ping, const PingPlan& plan, PingFigures& figures, Deadline deadline) {
    const auto over = [&] { return ping.state.load(std::memory_order_acquire) != Ping::State::asked; };
    for (unsigned attempt = 0; attempt < plan.attempts && !deadline.expired(); ++attempt) {
        figures.repeated += attempt == 0 ? 0 : 1;
        if (!stack.call(deadline, [&] { ping.ask(); })) {
            break;
        }
        if (ping.answered.wait(earlier(deadline, Deadline::after(plan.patience)), over)) {
            return ping.state.load(std::memory_order_acquire);
        }
    }
    return Ping::State::idle;
}

}  // namespace

Result<PingFigures> ping(Stack& stack, const PingPlan& plan, Deadline deadline) {
    Ping ping;
    ip_addr_set_ip4_u32(&ping.peer, std::bit_cast<std::uint32_t>(plan.peer.bytes));
    PV_TRY(stack.call(deadline, [&] {
        ping.id = static_cast<std::uint16_t>(LWIP_RAND());
        ping.pcb = raw_new(IP_PROTO_ICMP);
        if (ping.pcb != nullptr) {
            raw_recv(ping.pcb, on_packet, &ping);
        }
    }));
    if (ping.pcb == nullptr) {
        return fail(Error::out_of_memory);
    }
    PingFigures figures;
    for (std::uint64_t i = 0; i < plan.count; ++i) {
        ping.sequence = static_cast<std::uint16_t>(i);
        ping.length = i * 97 % (longest + 1);
        switch (one(stack, ping, plan, figures, deadline)) {
            case Ping::State::right:
                ++figures.answered;
                figures.bytes += ping.length;
                break;
            case Ping::State::wrong:
                ++figures.wrong;
                break;
            default:
                ++figures.lost;
        }
    }
    // Whatever became of it: the network must forget this frame's object, or have stopped for good.
    while (!stack.stopped()) {
        if (stack.call(Deadline::after(Duration::seconds(10)), [&] { raw_remove(ping.pcb); })) {
            return figures;
        }
    }
    return fail(Error::device_failed);
}

}  // namespace pv::net
