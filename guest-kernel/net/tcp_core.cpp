// What programs ask of a connection, and its control block.
// SPDX-License-Identifier: MIT
#include "net/tcp_core.hpp"

#include <linux/in.h>

#include <algorithm>
#include <array>
#include <new>
#include <utility>

#include "fs/wait.hpp"
#include "net/lwip_endpoint.hpp"
#include "net/machine.hpp"
#include "net/tcp_callbacks.hpp"

extern "C" {
#include "lwip/priv/tcp_priv.h"
#include "lwip/tcp.h"
}

namespace pv::net {
namespace {

/// A window's update is worth an errand from here on.
constexpr std::size_t window_step = std::size_t{24} << 10;

// lwIP lets two who want to share a name have it, and refuses the second that listens. Linux refuses earlier.
bool is_listened_at(const ip_addr_t& address, std::uint16_t port) {
    for (const tcp_pcb_listen* other = tcp_listen_pcbs.listen_pcbs; other != nullptr; other = other->next) {
        const bool same_kind = IP_IS_ANY_TYPE_VAL(other->local_ip) || IP_IS_ANY_TYPE_VAL(address) ||
                               IP_IS_V6_VAL(other->local_ip) == IP_IS_V6_VAL(address);
        if (other->local_port == port && same_kind &&
            (ip_addr_isany(&other->local_ip) || ip_addr_isany(&address) ||
             ip_addr_cmp(&other->local_ip, &address))) {
            return true;
        }
    }
    return false;
}

}  // namespace

void InetOptions::copy_from(const InetOptions& other) {
    reuse_address.store(other.reuse_address.load(std::memory_order_relaxed), std::memory_order_relaxed);
    keep_alive.store(other.keep_alive.load(std::memory_order_relaxed), std::memory_order_relaxed);
    only_v6.store(other.only_v6.load(std::memory_order_relaxed), std::memory_order_relaxed);
    no_delay.store(other.no_delay.load(std::memory_order_relaxed), std::memory_order_relaxed);
    hops.store(other.hops.load(std::memory_order_relaxed), std::memory_order_relaxed);
    service.store(other.service.load(std::memory_order_relaxed), std::memory_order_relaxed);
    idle.store(other.idle.load(std::memory_order_relaxed), std::memory_order_relaxed);
    interval.store(other.interval.load(std::memory_order_relaxed), std::memory_order_relaxed);
    probes.store(other.probes.load(std::memory_order_relaxed), std::memory_order_relaxed);
    linger.store(other.linger.load(std::memory_order_relaxed), std::memory_order_relaxed);
}

Outcome<Ref<TcpCore>> TcpCore::create(std::uint16_t family) {
    auto core = Ref<TcpCore>::adopt(new (std::nothrow) TcpCore(family));
    if (!core) {
        return fail(Errno::enomem);
    }
    core->state.with([&](State& state) { state.local.is_v6 = state.remote.is_v6 = family == family_v6; });
    return core;
}

TcpCore::~TcpCore() = default;

void TcpCore::tell(std::uint32_t events) {
    queue.wake_all();
    poll_queue.notify(events);
}

Outcome<> TcpCore::bind(const Endpoint& local) {
    return on_network([&] { return bind_here(local); });
}

Outcome<> TcpCore::connect(const Endpoint& remote) {
    return on_network([&] { return connect_here(remote); });
}

Outcome<> TcpCore::listen(int backlog) {
    return on_network([&] { return listen_here(backlog); });
}

void TcpCore::disconnect() {
    const fs::MutexGuard guard(read_lock);  // a reader looks at what is dropped here
    static_cast<void>(on_network([&]() -> Outcome<> {
        const Ref<TcpCore> keep(*this);
        refuse_pending();
        drop_block();
        ByteQueue unsent;
        ByteQueue unread;
        state.with([&](State& now) {
            now.to_send.swap(unsent);
            now.received.swap(unread);
            now.remote = Endpoint{.is_v6 = family == family_v6};
            note(now);
        });
        error_.store(0, std::memory_order_seq_cst);
        end_sent_ = false;
        input_over_.store(false, std::memory_order_seq_cst);
        output_over_.store(false, std::memory_order_seq_cst);
        phase_.store(TcpPhase::fresh, std::memory_order_release);
        // A name that the program gave stays its own.
        if (is_bound_) {
            static_cast<void>(make_block());
        } else {
            state.with([&](State& now) { now.local = Endpoint{.is_v6 = family == family_v6}; });
        }
        tell(fs::poll_event::readable | fs::poll_event::writable | fs::poll_event::always);
        return {};
    }));
}

SocketFacts TcpCore::facts() {
    SocketFacts facts{
        .protocol = IPPROTO_TCP, .family = family, .to_send = to_send(), .received = received()};
    // lwIP's states in its own order, from CLOSED to TIME_WAIT.
    constexpr std::array<std::uint8_t, 11> states{7, 10, 2, 3, 1, 4, 5, 8, 11, 9, 6};
    const auto now = static_cast<std::size_t>(block_ != nullptr ? block_->state : CLOSED);
    facts.state = now < states.size() ? states[now] : 7U;
    state.with([&](const State& names) {
        facts.local = names.local;
        facts.remote = names.remote;
    });
    return facts;
}

TcpMeasures TcpCore::measures() {
    TcpMeasures now{.state = facts().state};
    if (block_ == nullptr || block_->state == LISTEN || block_->state == CLOSED) {
        return now;
    }
    constexpr std::uint32_t tick = TCP_SLOW_INTERVAL * 1000U;
    // lwIP keeps the round trip as Jacobson does: in eighths, its deviation in quarters of a tick.
    const auto ticks = [](int value, std::uint32_t parts) {
        return value < 0 ? 0U : static_cast<std::uint32_t>(value) * (tick / parts);
    };
    now.retransmissions = block_->nrtx;
    now.timeout = ticks(block_->rto, 1);
    now.round_trip = ticks(block_->sa, 8);
    now.deviation = ticks(block_->sv, 4);
    now.segment = block_->mss;
    now.waiting = block_->snd_queuelen;
    now.congestion_window = block_->cwnd;
    now.threshold = block_->ssthresh;
    return now;
}

Ref<TcpCore> TcpCore::take_pending() {
    Ref<TcpCore> first;
    state.with([&](State& now) {
        if (now.first_pending) {
            first = std::move(now.first_pending);
            now.first_pending = std::move(first->next_pending_);
            first->next_pending_ = nullptr;
            if (!now.first_pending) {
                now.last_pending = nullptr;
            }
            pending_.fetch_sub(1, std::memory_order_release);
        }
    });
    if (first) {
        first->accepted_.store(true, std::memory_order_release);
        ask(*first);
    }
    return first;
}

void TcpCore::add_pending(Ref<TcpCore> fresh) {
    state.with([&](State& now) {
        TcpCore* added = fresh.get();
        (now.last_pending != nullptr ? now.last_pending->next_pending_ : now.first_pending) =
            std::move(fresh);
        now.last_pending = added;
        pending_.fetch_add(1, std::memory_order_release);
    });
}

void TcpCore::close_output() {
    output_over_.store(true, std::memory_order_release);
    tell(fs::poll_event::writable | fs::poll_event::always);
    ask(*this);
}

void TcpCore::close_input() {
    input_over_.store(true, std::memory_order_release);
    tell(fs::poll_event::readable | fs::poll_event::read_hang_up | fs::poll_event::always);
}

void TcpCore::release() {
    released_.store(true, std::memory_order_release);
    ask(*this);
}

void TcpCore::push() {
    ask(*this);
}

void TcpCore::consumed(std::size_t count) {
    const std::size_t before = consumed_.fetch_add(count, std::memory_order_acq_rel);
    if (before < window_step && before + count >= window_step) {
        ask(*this);
    }
}

void TcpCore::own(tcp_pcb* block) {
    block_ = block;
    enlist(*this);
    attach_callbacks(*this, *block);
}

tcp_pcb* TcpCore::disown() {
    tcp_pcb* block = std::exchange(block_, nullptr);
    if (block != nullptr) {
        retire(*this);
    }
    return block;
}

void TcpCore::drop_block() {
    if (block_ == nullptr) {
        return;
    }
    const bool is_listener = block_->state == LISTEN;
    tcp_pcb* block = disown();
    detach_callbacks(*block);
    if (is_listener) {
        static_cast<void>(tcp_close(block));
    } else {
        tcp_abort(block);
    }
}

Outcome<> TcpCore::make_block() {
    if (block_ != nullptr) {
        return {};
    }
    tcp_pcb* block = tcp_new_ip_type(lwip_type(family, options.only_v6.load(std::memory_order_relaxed)));
    if (block == nullptr) {
        return fail(Errno::enobufs);
    }
    own(block);
    apply_options();
    if (!is_bound_) {
        return {};
    }
    Outcome<> bound;
    if (const auto address = to_bind(bound_, family, options.only_v6.load(std::memory_order_relaxed));
        !address) {
        bound = fail(address.error());
    } else if (bound_.port != 0 && is_listened_at(*address, bound_.port)) {
        bound = fail(Errno::eaddrinuse);
    } else if (const err_t error = tcp_bind(block, &*address, bound_.port); error != ERR_OK) {
        bound = fail(error == ERR_BUF ? Errno::eaddrinuse : to_errno(error));
    }
    if (!bound) {
        drop_block();
        return bound;
    }
    bound_.port = block->local_port;
    note_names();
    return {};
}

void TcpCore::apply_options() {
    if (block_ == nullptr) {
        return;
    }
    const auto set = [&](std::uint8_t option, bool on) {
        if (on) {
            ip_set_option(block_, option);
        } else {
            ip_reset_option(block_, option);
        }
    };
    set(SOF_REUSEADDR, options.reuse_address.load(std::memory_order_relaxed));
    set(SOF_KEEPALIVE, options.keep_alive.load(std::memory_order_relaxed));
    block_->ttl = options.hops.load(std::memory_order_relaxed);
    block_->tos = options.service.load(std::memory_order_relaxed);
    if (block_->state == LISTEN) {
        return;  // lwIP keeps less of those
    }
    block_->keep_idle = options.idle.load(std::memory_order_relaxed) * 1000;
    block_->keep_intvl = options.interval.load(std::memory_order_relaxed) * 1000;
    block_->keep_cnt = options.probes.load(std::memory_order_relaxed);
    if (options.no_delay.load(std::memory_order_relaxed)) {
        tcp_nagle_disable(block_);
    } else {
        tcp_nagle_enable(block_);
    }
}

void TcpCore::note_names() {
    if (block_ == nullptr) {
        return;
    }
    const Endpoint local = from_lwip(block_->local_ip, block_->local_port);
    const bool has_peer = block_->state != LISTEN && block_->state != CLOSED;
    state.with([&](State& now) {
        now.local = local;
        if (has_peer) {
            now.remote = from_lwip(block_->remote_ip, block_->remote_port);
        }
    });
}

Outcome<> TcpCore::bind_here(const Endpoint& local) {
    if (is_bound_ || phase() != TcpPhase::fresh) {
        return fail(Errno::einval);
    }
    const Ref<TcpCore> keep(*this);
    drop_block();
    bound_ = local;
    is_bound_ = true;
    const Outcome<> made = make_block();
    is_bound_ = made.has_value();
    return made;
}

Outcome<> TcpCore::connect_here(const Endpoint& remote) {
    if (phase() != TcpPhase::fresh && phase() != TcpPhase::ended) {
        return fail(Errno::eisconn);
    }
    if (!remote.is_v6 && options.only_v6.load(std::memory_order_relaxed)) {
        return fail(Errno::enetunreach);
    }
    const Ref<TcpCore> keep(*this);
    const ip_addr_t to = to_lwip(destination_of(remote));
    static_cast<void>(PV_TRY(source_for(to)));
    const netif* lower = ip_route(IP_ANY_TYPE, &to);
    if (ip_addr_ismulticast(&to) || (lower != nullptr && ip_addr_isbroadcast(&to, lower))) {
        return fail(Errno::enetunreach);
    }
    PV_TRY(make_block());
    error_.store(0, std::memory_order_seq_cst);
    input_over_.store(false, std::memory_order_seq_cst);
    output_over_.store(false, std::memory_order_seq_cst);
    end_sent_ = false;
    phase_.store(TcpPhase::connecting, std::memory_order_release);
    const err_t error = begin_connecting(*block_, to, remote.port);
    if (error != ERR_OK) {
        phase_.store(TcpPhase::fresh, std::memory_order_release);
        drop_block();
        return fail(error == ERR_USE || error == ERR_BUF ? Errno::eaddrnotavail : to_errno(error));
    }
    note_names();
    return {};
}

Outcome<> TcpCore::listen_here(int backlog) {
    const auto most = static_cast<u8_t>((backlog < 0 ? backlog_max : std::min(backlog, backlog_max)) + 1);
    if (phase() == TcpPhase::listening && block_ != nullptr) {
        tcp_backlog_set(reinterpret_cast<tcp_pcb_listen*>(block_), most);
        return {};
    }
    if (phase() != TcpPhase::fresh) {
        return fail(Errno::einval);
    }
    const Ref<TcpCore> keep(*this);
    if (!is_bound_) {
        PV_TRY(bind_here(Endpoint{.is_v6 = family == family_v6}));
    } else {
        PV_TRY(make_block());
    }
    err_t error = ERR_OK;
    tcp_pcb* before = disown();
    tcp_pcb* listener = tcp_listen_with_backlog_and_err(before, most, &error);
    own(listener != nullptr ? listener : before);
    if (listener == nullptr) {
        return fail(to_errno(error));
    }
    error_.store(0, std::memory_order_seq_cst);
    input_over_.store(false, std::memory_order_seq_cst);
    output_over_.store(false, std::memory_order_seq_cst);
    phase_.store(TcpPhase::listening, std::memory_order_release);
    note_names();
    return {};
}

}  // namespace pv::net
