// Connections as programs see them: names, connecting, accepting, readiness.
// SPDX-License-Identifier: MIT
#include "net/tcp_socket.hpp"

#include <asm/ioctls.h>
#include <linux/in.h>
#include <linux/tcp.h>

#include <algorithm>
#include <cstring>
#include <new>

#include "base/atomic.hpp"
#include "fs/wait.hpp"
#include "net/machine.hpp"

namespace pv::net {
namespace {

using namespace fs;

constexpr std::uint16_t unspecified = 0;  // AF_UNSPEC

Errno as_error(int number) {
    return static_cast<Errno>(number);
}

}  // namespace

Outcome<Ref<OpenFile>> create_tcp_socket(std::uint16_t family, std::uint32_t flags) {
    auto core = PV_TRY(TcpCore::create(family));
    auto socket = Ref<TcpSocket>::adopt(new (std::nothrow) TcpSocket(flags, std::move(core)));
    return socket ? Outcome<Ref<OpenFile>>(std::move(socket)) : fail(Errno::enomem);
}

int TcpSocket::protocol() const {
    return IPPROTO_TCP;
}

bool TcpSocket::has_name() {
    return core_->state.with([](const TcpCore::State& state) { return state.local.port != 0; });
}

Outcome<> TcpSocket::bind_address(const SocketAddress& address) {
    return core_->bind(PV_TRY(read_endpoint(address, family())));
}

Outcome<> TcpSocket::connect_address(const SocketAddress& address) {
    if (address.length < sizeof(std::uint16_t)) {
        return fail(Errno::einval);
    }
    if (address.family() == unspecified) {
        core_->disconnect();
        stage_.store(Stage::unconnected, std::memory_order_seq_cst);
        return {};
    }
    Errno pending = Errno::ealready;
    Endpoint target;
    switch (stage_.load(std::memory_order_seq_cst)) {
        case Stage::connected:
            return fail(Errno::eisconn);
        case Stage::connecting:
            break;
        case Stage::unconnected:
            if (is_listening()) {
                return fail(Errno::eisconn);
            }
            target = PV_TRY(read_endpoint(address, family()));
            PV_TRY(core_->connect(target));
            stage_.store(Stage::connecting, std::memory_order_seq_cst);
            pending = Errno::einprogress;
            break;
    }
    if (pending == Errno::einprogress && is_nonblocking()) {
        return fail(pending);  // whatever became of it meanwhile is another call's
    }
    const auto is_decided = [&] { return core_->phase() != TcpPhase::connecting; };
    if (!is_decided()) {
        if (is_nonblocking()) {
            return fail(pending);
        }
        const Outcome<> waited = wait(core_->queue, deadline(options().send_timeout), is_decided);
        if (!waited) {
            return fail(waited.error() == Errno::etimedout ? pending : waited.error());
        }
    }
    if (core_->phase() != TcpPhase::connected) {
        const int error = core_->take_error();
        core_->disconnect();
        stage_.store(Stage::unconnected, std::memory_order_seq_cst);
        return fail(error != 0 ? as_error(error) : Errno::econnaborted);
    }
    stage_.store(Stage::connected, std::memory_order_seq_cst);
    return {};
}

Outcome<> TcpSocket::listen(int backlog, const SocketOwner&) {
    return core_->listen(backlog);
}

Outcome<Ref<OpenFile>> TcpSocket::accept(bool nonblocking, std::uint32_t flags, SocketAddress& peer) {
    const Deadline until = deadline(options().receive_timeout);
    while (is_listening()) {
        if (const Ref<TcpCore> taken = core_->take_pending()) {
            auto made = Ref<TcpSocket>::adopt(new (std::nothrow) TcpSocket(flags, taken));
            if (!made) {
                taken->release();
                return fail(Errno::enomem);
            }
            made->stage_.store(Stage::connected, std::memory_order_seq_cst);
            made->options().reuse_address.store(options().reuse_address.load(std::memory_order_relaxed),
                                                std::memory_order_relaxed);
            made->options().keep_alive.store(options().keep_alive.load(std::memory_order_relaxed),
                                             std::memory_order_relaxed);
            made->options().linger.store(options().linger.load(std::memory_order_relaxed),
                                         std::memory_order_relaxed);
            made->options().urgent_inline.store(options().urgent_inline.load(std::memory_order_relaxed),
                                                std::memory_order_relaxed);
            peer = write_endpoint(taken->state.with([](const TcpCore::State& state) { return state.remote; }),
                                  family());
            return Ref<OpenFile>(std::move(made));
        }
        if (nonblocking) {
            return fail(Errno::eagain);
        }
        PV_TRY(wait_or_again(core_->queue, until, [&] { return core_->has_pending() || !is_listening(); }));
    }
    return fail(Errno::einval);
}

Outcome<> TcpSocket::shutdown(int how) {
    if (how < 0 || how > 2) {
        return fail(Errno::einval);
    }
    switch (core_->phase()) {
        case TcpPhase::fresh:
            return fail(Errno::enotconn);
        case TcpPhase::ended:
            // Told as long as the program may still read what came.
            return core_->error() != 0 || core_->received() == 0 ? Outcome<>(fail(Errno::enotconn))
                                                                 : Outcome<>();
        case TcpPhase::listening:
            if (how != 1) {
                core_->stop_listening();
            }
            return {};
        case TcpPhase::connecting:
            core_->disconnect();
            stage_.store(Stage::unconnected, std::memory_order_seq_cst);
            return {};
        case TcpPhase::connected:
            break;
    }
    if (how != 1) {
        core_->close_input();
    }
    if (how != 0) {
        core_->close_output();
    }
    return {};
}

SocketAddress TcpSocket::name() {
    return write_endpoint(core_->state.with([](const TcpCore::State& state) { return state.local; }),
                          family());
}

Outcome<SocketAddress> TcpSocket::peer_name() {
    if (core_->phase() != TcpPhase::connected) {
        return fail(Errno::enotconn);
    }
    return write_endpoint(core_->state.with([](const TcpCore::State& state) { return state.remote; }),
                          family());
}

std::uint32_t TcpSocket::poll(Watcher* watcher) {
    if (watcher != nullptr) {
        core_->poll_queue.add(*watcher);
    }
    switch (core_->phase()) {
        case TcpPhase::listening:
            return core_->has_pending() ? poll_event::readable : 0;
        case TcpPhase::connecting:
            return 0;
        case TcpPhase::fresh:
            return poll_event::writable | poll_event::hang_up;
        case TcpPhase::connected:
        case TcpPhase::ended:
            break;
    }
    const bool is_input_over = core_->is_input_over();
    const bool is_output_over = core_->is_output_over();
    std::uint32_t ready = core_->received() != 0 || is_input_over ? poll_event::readable : 0;
    ready |= is_input_over ? poll_event::read_hang_up : 0;
    ready |= is_output_over || core_->has_much_room() ? poll_event::writable : 0;
    ready |= is_input_over && is_output_over ? poll_event::hang_up : 0;
    return ready | (core_->error() != 0 ? poll_event::error : 0);
}

Outcome<std::uint64_t> TcpSocket::ioctl(std::uint32_t request, IoctlArgument& argument) {
    std::int32_t count = 0;
    switch (request) {
        case FIONREAD:
        case TIOCOUTQ:
            if (is_listening()) {
                return fail(Errno::einval);
            }
            count = static_cast<std::int32_t>(request == FIONREAD ? core_->received() : core_->to_send());
            break;
        default:
            return fail(Errno::enotty);
    }
    PV_TRY(argument.write(bytes_of(count)));
    return 0;
}

Outcome<> TcpSocket::set_own_option(int name, int value) {
    InetOptions& own = core_->options;
    const auto set = [value](Atomic<std::uint32_t>& to, int most) -> Outcome<> {
        if (value < 1 || value > most) {
            return fail(Errno::einval);
        }
        to.store(static_cast<std::uint32_t>(value), std::memory_order_relaxed);
        return {};
    };
    switch (name) {
        case TCP_NODELAY:
            own.no_delay.store(value != 0, std::memory_order_relaxed);
            return {};
        case TCP_KEEPIDLE:
            return set(own.idle, 32767);
        case TCP_KEEPINTVL:
            return set(own.interval, 32767);
        case TCP_KEEPCNT:
            return set(own.probes, 127);
        // Advice: what is sent stays the same.
        case TCP_CORK:
        case TCP_QUICKACK:
        case TCP_DEFER_ACCEPT:
        case TCP_USER_TIMEOUT:
            return {};
        default:
            return fail(Errno::enoprotoopt);
    }
}

Outcome<std::size_t> TcpSocket::get_option(int level, int name, std::span<std::byte> room) {
    if (level != IPPROTO_TCP || name != TCP_INFO) {
        return InetSocket::get_option(level, name, room);
    }
    TcpMeasures now;
    PV_TRY(on_network([&]() -> Outcome<> {
        now = core_->measures();
        return {};
    }));
    tcp_info info{};
    info.tcpi_state = static_cast<std::uint8_t>(now.state);
    info.tcpi_retransmits = static_cast<std::uint8_t>(now.retransmissions);
    info.tcpi_rto = now.timeout;
    info.tcpi_snd_mss = info.tcpi_rcv_mss = info.tcpi_advmss = now.segment;
    info.tcpi_unacked = now.waiting;
    info.tcpi_rtt = now.round_trip;
    info.tcpi_rttvar = now.deviation;
    const std::uint32_t segment = std::max(now.segment, 1U);
    info.tcpi_snd_cwnd = now.congestion_window / segment;
    info.tcpi_snd_ssthresh = now.threshold / segment;
    // Counts of what was sent, lost and received are nobody's: they stay zero.
    const std::size_t told = std::min(room.size(), sizeof info);
    std::memcpy(room.data(), &info, told);
    return told;
}

Outcome<int> TcpSocket::get_own_option(int name) {
    const InetOptions& own = core_->options;
    switch (name) {
        case TCP_NODELAY:
            return own.no_delay.load(std::memory_order_relaxed) ? 1 : 0;
        case TCP_KEEPIDLE:
            return static_cast<int>(own.idle.load(std::memory_order_relaxed));
        case TCP_KEEPINTVL:
            return static_cast<int>(own.interval.load(std::memory_order_relaxed));
        case TCP_KEEPCNT:
            return static_cast<int>(own.probes.load(std::memory_order_relaxed));
        case TCP_MAXSEG:
            return core_->phase() == TcpPhase::connected ? 1460 : 536;
        case TCP_CORK:
        case TCP_DEFER_ACCEPT:
        case TCP_USER_TIMEOUT:
            return 0;
        case TCP_QUICKACK:
            return 1;
        default:
            return fail(Errno::enoprotoopt);
    }
}

}  // namespace pv::net
