// Datagrams as programs see them.
// SPDX-License-Identifier: MIT
#include "net/udp_socket.hpp"

#include <asm/ioctls.h>
#include <linux/in.h>

#include <algorithm>
#include <memory>
#include <new>

#include "fs/wait.hpp"

namespace pv::net {
namespace {

using namespace fs;

constexpr std::uint16_t unspecified = 0;  // AF_UNSPEC

}  // namespace

Outcome<Ref<OpenFile>> create_udp_socket(std::uint16_t family, std::uint32_t flags) {
    auto core = PV_TRY(UdpCore::create(family));
    auto socket = Ref<UdpSocket>::adopt(new (std::nothrow) UdpSocket(flags, std::move(core)));
    return socket ? Outcome<Ref<OpenFile>>(std::move(socket)) : fail(Errno::enomem);
}

int UdpSocket::protocol() const {
    return IPPROTO_UDP;
}

void UdpSocket::options_changed() {
    core_->broadcast.store(options().broadcast.load(std::memory_order_relaxed), std::memory_order_relaxed);
    core_->receive_max.store(options().receive_buffer.load(std::memory_order_relaxed),
                             std::memory_order_relaxed);
    InetSocket::options_changed();
}

bool UdpSocket::has_name() {
    return core_->state.with([](const UdpCore::State& state) { return state.local.port != 0; });
}

Outcome<> UdpSocket::bind_address(const SocketAddress& address) {
    return core_->bind(PV_TRY(read_endpoint(address, family())));
}

Outcome<> UdpSocket::connect_address(const SocketAddress& address) {
    if (address.length < sizeof(std::uint16_t)) {
        return fail(Errno::einval);
    }
    if (address.family() == unspecified) {
        return core_->disconnect();
    }
    return core_->connect(PV_TRY(read_endpoint(address, family())));
}

Outcome<> UdpSocket::listen(int, const SocketOwner&) {
    return fail(Errno::eopnotsupp);
}

Outcome<Ref<OpenFile>> UdpSocket::accept(bool, std::uint32_t, SocketAddress&) {
    return fail(Errno::eopnotsupp);
}

std::size_t UdpSocket::size_max(const Endpoint* to) {
    const bool is_v6 =
        to != nullptr ? to->is_v6
                      : core_->state.with([](const UdpCore::State& state) { return state.remote.is_v6; });
    return is_v6 ? UdpCore::size_max_v6 : UdpCore::size_max_v4;
}

Outcome<std::size_t> UdpSocket::send(Source& source, const SocketAddress* to, Ancillary& ancillary,
                                     std::uint32_t) {
    if (!ancillary.files.empty()) {
        return fail(Errno::einval);
    }
    if (source.left() > 0xffff) {
        return fail(Errno::emsgsize);
    }
    Endpoint target;
    if (to != nullptr) {
        target = PV_TRY(read_endpoint(*to, family()));
        if (target.port == 0) {
            return fail(Errno::einval);
        }
    } else if (!core_->is_connected()) {
        return fail(Errno::edestaddrreq);
    }
    if (const int error = core_->take_error(); error != 0) {
        return fail(static_cast<Errno>(error));
    }
    if (writing_closed_.load(std::memory_order_acquire)) {
        return fail(Errno::epipe);
    }
    const std::size_t size = source.left();
    if (size > size_max(to != nullptr ? &target : nullptr)) {
        return fail(Errno::emsgsize);
    }
    std::unique_ptr<std::byte[]> bytes(new (std::nothrow) std::byte[std::max<std::size_t>(size, 1)]);
    if (bytes == nullptr) {
        return fail(Errno::enobufs);
    }
    if (size != 0 && PV_TRY(source.take({bytes.get(), size})) < size) {
        return fail(Errno::efault);
    }
    PV_TRY(core_->send({bytes.get(), size}, to != nullptr ? &target : nullptr));
    return size;
}

Outcome<bool> UdpSocket::wait_for_datagram(std::uint32_t flags, Deadline until) {
    while (true) {
        if (const int error = core_->take_error(); error != 0) {
            return fail(static_cast<Errno>(error));
        }
        if (core_->has_datagram()) {
            return true;
        }
        if (reading_closed_.load(std::memory_order_acquire)) {
            return false;
        }
        if (must_not_wait(flags)) {
            return fail(Errno::eagain);
        }
        PV_TRY(wait_or_again(core_->queue, until, [&] {
            return core_->has_datagram() || core_->error() != 0 ||
                   reading_closed_.load(std::memory_order_acquire);
        }));
    }
}

Outcome<> UdpSocket::receive(Target& target, std::uint32_t flags, Received& received) {
    const Deadline until = deadline(options().receive_timeout);
    while (PV_TRY(wait_for_datagram(flags, until))) {
        const MutexGuard guard(core_->read_lock);
        const Datagram* datagram = core_->first();
        if (datagram == nullptr) {
            continue;  // another reader was quicker
        }
        const std::size_t part = std::min(datagram->size, target.left());
        Outcome<std::size_t> put = std::size_t{0};
        if (part != 0) {
            put = target.put({datagram->bytes.get(), part});
        }
        received.count = put.value_or(0);
        received.whole = datagram->size;
        received.flags |= part < datagram->size ? message_flag::truncated : 0;
        received.from = write_endpoint(datagram->from, family());
        if ((flags & message_flag::peek) == 0) {
            core_->remove_first();
        }
        return put ? Outcome<>() : fail(put.error());
    }
    return {};
}

Outcome<> UdpSocket::shutdown(int how) {
    if (how < 0 || how > 2) {
        return fail(Errno::einval);
    }
    // Who waits is woken even where there is no peer.
    reading_closed_.store(reading_closed_.load(std::memory_order_seq_cst) || how != 1,
                          std::memory_order_seq_cst);
    writing_closed_.store(writing_closed_.load(std::memory_order_seq_cst) || how != 0,
                          std::memory_order_seq_cst);
    core_->tell(poll_event::readable | poll_event::writable | poll_event::always);
    return core_->is_connected() ? Outcome<>() : fail(Errno::enotconn);
}

SocketAddress UdpSocket::name() {
    return write_endpoint(core_->state.with([](const UdpCore::State& state) { return state.local; }),
                          family());
}

Outcome<SocketAddress> UdpSocket::peer_name() {
    if (!core_->is_connected()) {
        return fail(Errno::enotconn);
    }
    return write_endpoint(core_->state.with([](const UdpCore::State& state) { return state.remote; }),
                          family());
}

std::uint32_t UdpSocket::poll(Watcher* watcher) {
    if (watcher != nullptr) {
        core_->poll_queue.add(*watcher);
    }
    const bool is_read_over = reading_closed_.load(std::memory_order_acquire);
    std::uint32_t ready = poll_event::writable;
    ready |= core_->has_datagram() || is_read_over ? poll_event::readable : 0;
    ready |= is_read_over ? poll_event::read_hang_up : 0;
    ready |= is_read_over && writing_closed_.load(std::memory_order_acquire) ? poll_event::hang_up : 0;
    return ready | (core_->error() != 0 ? poll_event::error : 0);
}

Outcome<std::uint64_t> UdpSocket::ioctl(std::uint32_t request, IoctlArgument& argument) {
    std::int32_t count = 0;
    switch (request) {
        case FIONREAD:
            count = core_->state.with([](const UdpCore::State& state) {
                return state.inbox.empty() ? 0 : static_cast<std::int32_t>(state.inbox.front().size);
            });
            break;
        case TIOCOUTQ:
            break;
        default:
            return fail(Errno::enotty);
    }
    PV_TRY(argument.write(bytes_of(count)));
    return 0;
}

}  // namespace pv::net
