// Datagrams as programs see them.
// SPDX-License-Identifier: MIT
#include "net/datagram_socket.hpp"

#include <asm/ioctls.h>

#include <algorithm>
#include <memory>
#include <new>

#include "fs/wait.hpp"

namespace pv::net {
namespace {

using namespace fs;

constexpr std::uint16_t unspecified = 0;  // AF_UNSPEC

}  // namespace

Outcome<Ref<OpenFile>> create_datagram_socket(Ref<DatagramCore> core, std::uint32_t flags) {
    auto socket = Ref<DatagramSocket>::adopt(new (std::nothrow) DatagramSocket(flags, std::move(core)));
    return socket ? Outcome<Ref<OpenFile>>(std::move(socket)) : fail(Errno::enomem);
}

int DatagramSocket::protocol() const {
    return core_->protocol();
}

void DatagramSocket::options_changed() {
    core_->broadcast.store(options().broadcast.load(std::memory_order_relaxed), std::memory_order_relaxed);
    core_->receive_max.store(options().receive_buffer.load(std::memory_order_relaxed),
                             std::memory_order_relaxed);
    InetSocket::options_changed();
}

bool DatagramSocket::has_name() {
    return core_->state.with([](const DatagramCore::State& state) { return state.local.port != 0; });
}

Outcome<> DatagramSocket::bind_address(const SocketAddress& address) {
    return core_->bind(PV_TRY(read_endpoint(address, family())));
}

Outcome<> DatagramSocket::connect_address(const SocketAddress& address) {
    if (address.length < sizeof(std::uint16_t)) {
        return fail(Errno::einval);
    }
    if (address.family() == unspecified) {
        return core_->disconnect();
    }
    return core_->connect(PV_TRY(read_endpoint(address, family())));
}

Outcome<> DatagramSocket::listen(int, const SocketOwner&) {
    return fail(Errno::eopnotsupp);
}

Outcome<Ref<OpenFile>> DatagramSocket::accept(bool, std::uint32_t, SocketAddress&) {
    return fail(Errno::eopnotsupp);
}

Outcome<std::size_t> DatagramSocket::send(Source& source, const SocketAddress* to, Ancillary& ancillary,
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
    std::unique_ptr<std::byte[]> bytes(new (std::nothrow) std::byte[std::max<std::size_t>(size, 1)]);
    if (bytes == nullptr) {
        return fail(Errno::enobufs);
    }
    if (size != 0 && PV_TRY(source.take({bytes.get(), size})) < size) {
        return fail(Errno::efault);
    }
    const Endpoint* const where = to != nullptr ? &target : nullptr;
    PV_TRY(core_->check({bytes.get(), size}, where));
    const fs::PacketInfo* const from = ancillary.from ? &*ancillary.from : nullptr;
    PV_TRY(core_->send({bytes.get(), size}, where, from));
    return size;
}

// Nothing where nobody asked. IPv6 sockets have IPv4's addresses in their own form.
std::optional<PacketInfo> DatagramSocket::arrival_of(const Datagram& datagram) {
    const InetOptions& own = core_->options;
    const bool in_v6 = family() == family_v6 && own.tells_info_v6.load(std::memory_order_relaxed);
    if (!in_v6 && (datagram.to.is_v6 || !own.tells_info.load(std::memory_order_relaxed))) {
        return std::nullopt;
    }
    PacketInfo info{.interface = datagram.interface, .is_v6 = in_v6};
    if (in_v6 && !datagram.to.is_v6) {
        info.address[10] = info.address[11] = 0xff;
        std::ranges::copy(std::span(datagram.to.address).first(4), info.address.begin() + 12);
    } else {
        std::ranges::copy(datagram.to.address, info.address.begin());
    }
    return info;
}

Outcome<bool> DatagramSocket::wait_for_datagram(std::uint32_t flags, Deadline until) {
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

Outcome<> DatagramSocket::receive(Target& target, std::uint32_t flags, Received& received) {
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
        const InetOptions& own = core_->options;
        if ((datagram->from.is_v6 ? own.tells_hops_v6 : own.tells_hops).load(std::memory_order_relaxed)) {
            received.hops = fs::Hops{.left = datagram->hops, .is_v6 = datagram->from.is_v6};
        }
        received.arrived = arrival_of(*datagram);
        if ((flags & message_flag::peek) == 0) {
            core_->remove_first();
        }
        return put ? Outcome<>() : fail(put.error());
    }
    return {};
}

Outcome<> DatagramSocket::shutdown(int how) {
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

SocketAddress DatagramSocket::name() {
    return write_endpoint(core_->state.with([](const DatagramCore::State& state) { return state.local; }),
                          family());
}

Outcome<SocketAddress> DatagramSocket::peer_name() {
    if (!core_->is_connected()) {
        return fail(Errno::enotconn);
    }
    return write_endpoint(core_->state.with([](const DatagramCore::State& state) { return state.remote; }),
                          family());
}

std::uint32_t DatagramSocket::poll(Watcher* watcher) {
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

Outcome<std::uint64_t> DatagramSocket::ioctl(std::uint32_t request, IoctlArgument& argument) {
    std::int32_t count = 0;
    switch (request) {
        case FIONREAD:
            count = core_->state.with([](const DatagramCore::State& state) {
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
