// AF_UNIX sockets: names, connections and their ends.
// SPDX-License-Identifier: MIT
#include "fs/unix_socket.hpp"

#include <asm/ioctls.h>

#include <algorithm>
#include <cstring>
#include <new>

#include "base/atomic.hpp"
#include "base/format.hpp"
#include "fs/unix_transfer.hpp"
#include "fs/wait.hpp"

namespace pv::fs {
namespace {

constexpr std::uint16_t unix_family = 1;  // AF_UNIX
constexpr int backlog_max = 4096;

Outcome<Ref<UnixCore>> make_core(SocketType type, const SocketOwner& owner) {
    auto core = Ref<UnixCore>::adopt(new (std::nothrow) UnixCore(type, owner));
    return core ? Outcome<Ref<UnixCore>>(std::move(core)) : fail(Errno::enomem);
}

/// What getsockname(2) tells of a socket without a name.
SocketAddress no_name() {
    SocketAddress address;
    std::memcpy(address.bytes.data(), &unix_family, sizeof unix_family);
    address.length = sizeof unix_family;
    return address;
}

SocketAddress name_of(const UnixCore& core) {
    return core.name.length == 0 ? no_name() : core.name;
}

}  // namespace

UnixSocket::UnixSocket(SocketType type, std::uint32_t flags, Ref<UnixCore> core)
    : Socket(unix_family, type, flags, core->number), core_(std::move(core)) {
    enlist_unix_socket(*this);
}

UnixSocket::~UnixSocket() {
    retire_unix_socket(*this);
    remove_unix_name(*core_);
    core_->is_gone.store(true, std::memory_order_release);
    const bool left_some = core_->has_message();
    core_->close_reading();
    if (const Ref<UnixCore> other = peer(); other && socket_type() != SocketType::datagram) {
        if (left_some) {
            other->was_reset.store(true, std::memory_order_release);
        }
        other->end_input(true);
    } else if (other) {
        static_cast<void>(set_peer(nullptr));
        other->tell(poll_event::writable);
    }
    collect_when_worthwhile();
}

Ref<UnixCore> UnixSocket::peer() {
    return peer_.with([](const Ref<UnixCore>& peer) { return peer; });
}

bool UnixSocket::set_peer(Ref<UnixCore> fresh) {
    if (socket_type() != SocketType::datagram) {
        return peer_.with([&](Ref<UnixCore>& peer) {
            if (peer) {
                return false;
            }
            peer = std::move(fresh);
            return true;
        });
    }
    const task::SpinGuard guard(transfer_lock());
    if (const Ref<UnixCore> old = peer()) {
        old->state.with(
            [&](UnixCore::State& state) { state.senders.erase(state.senders.iterator_to(*core_)); });
    }
    if (fresh) {
        fresh->state.with([&](UnixCore::State& state) { state.senders.push_back(*core_); });
    }
    peer_.with([&](Ref<UnixCore>& peer) { std::swap(peer, fresh); });
    return true;  // the old one goes with `fresh`
}

Outcome<> UnixSocket::bind(const SocketAddress& address, Ref<Node> node) {
    PV_TRY(enter_unix_name(*core_, address, node.get()));
    node_ = std::move(node);
    return {};
}

Outcome<> UnixSocket::bind_anywhere() {
    // Five hexadecimal digits behind a zero (unix(7), "Autobind feature").
    constexpr unsigned names = 1U << 20;
    static constinit Atomic<unsigned> next{0};
    for (unsigned attempt = 0; attempt < names; ++attempt) {
        SocketAddress address = no_name();
        std::array<char, 8> room;
        const std::string_view text =
            format::to(room, "{:05x}", next.fetch_add(1, std::memory_order_relaxed) % names);
        std::ranges::copy(std::as_bytes(std::span(text)), address.bytes.begin() + 3);
        address.length = 3 + text.size();
        const Outcome<> entered = enter_unix_name(*core_, address, nullptr);
        if (entered || entered.error() != Errno::eaddrinuse) {
            // One that has a name keeps it.
            return {};
        }
    }
    return fail(Errno::enospc);
}

Outcome<> UnixSocket::connect(const Ref<UnixCore>& target, const SocketOwner& owner) {
    if (target->type != socket_type()) {
        return fail(Errno::eprototype);
    }
    if (is_listening()) {
        return fail(Errno::einval);
    }
    if (socket_type() == SocketType::datagram) {
        core_->only_from.store(target.get(), std::memory_order_release);
        static_cast<void>(set_peer(target));
        return {};
    }
    if (peer()) {
        return fail(Errno::eisconn);
    }
    core_->owner = owner;
    return connect_stream(target);
}

Outcome<> UnixSocket::connect_stream(const Ref<UnixCore>& target) {
    Ref<UnixCore> other = PV_TRY(make_core(socket_type(), target->owner));
    other->name = target->name;
    std::unique_ptr<UnixPending> pending(new (std::nothrow) UnixPending);
    if (pending == nullptr) {
        return fail(Errno::enomem);
    }
    pending->own = other;
    pending->peer = core_;
    const Deadline until = deadline(options().send_timeout);
    while (pending != nullptr) {
        Outcome<bool> entered = false;
        {
            const task::SpinGuard guard(transfer_lock());
            entered = target->state.with([&](UnixCore::State& state) -> Outcome<bool> {
                if (!target->is_listening.load(std::memory_order_acquire) || !target->is_read()) {
                    return fail(Errno::econnrefused);
                }
                if (state.pending_count > target->backlog.load(std::memory_order_relaxed)) {
                    return false;
                }
                // Only one thread makes it a connection.
                if (!set_peer(other)) {
                    return fail(Errno::eisconn);
                }
                ++state.pending_count;
                state.pending.push_back(*pending.release());
                target->note(state);
                return true;
            });
        }
        if (PV_TRY(entered)) {
            break;
        }
        if (is_nonblocking()) {
            return fail(Errno::eagain);
        }
        PV_TRY(wait_or_again(target->queue, until, [&] {
            return target->pending_count.load(std::memory_order_acquire) <=
                       target->backlog.load(std::memory_order_acquire) ||
                   !target->is_read();
        }));
    }
    peer_owner_ = target->owner;
    target->tell(poll_event::readable);
    core_->tell(poll_event::writable);
    return {};
}

void UnixSocket::disconnect() {
    core_->only_from.store(nullptr, std::memory_order_release);
    static_cast<void>(set_peer(nullptr));
}

Outcome<> UnixSocket::listen(int backlog, const SocketOwner& owner) {
    if (socket_type() == SocketType::datagram) {
        return fail(Errno::eopnotsupp);
    }
    if (core_->name.length == 0 || peer()) {
        return fail(Errno::einval);
    }
    core_->owner = owner;
    core_->backlog.store(static_cast<std::size_t>(backlog < 0 ? backlog_max : std::min(backlog, backlog_max)),
                         std::memory_order_release);
    core_->is_listening.store(true, std::memory_order_release);
    core_->tell(poll_event::writable);
    return {};
}

Outcome<Ref<OpenFile>> UnixSocket::accept(bool nonblocking, std::uint32_t flags, SocketAddress& peer) {
    if (socket_type() == SocketType::datagram) {
        return fail(Errno::eopnotsupp);
    }
    if (!is_listening()) {
        return fail(Errno::einval);
    }
    const Deadline until = deadline(options().receive_timeout);
    while (true) {
        if (core_->pending_count.load(std::memory_order_acquire) == 0) {
            if (!core_->is_read()) {
                return fail(Errno::einval);
            }
            if (nonblocking) {
                return fail(Errno::eagain);
            }
            PV_TRY(wait_or_again(core_->queue, until, [&] {
                return core_->pending_count.load(std::memory_order_acquire) != 0 || !core_->is_read();
            }));
            continue;
        }
        // With a core of its own until it gets the connection's: a failure ends that one only.
        Ref<UnixCore> own = PV_TRY(make_core(socket_type(), core_->owner));
        auto made = Ref<UnixSocket>::adopt(new (std::nothrow) UnixSocket(socket_type(), flags, own));
        if (!made) {
            return fail(Errno::enomem);
        }
        std::unique_ptr<UnixPending> pending;
        {
            const task::SpinGuard guard(transfer_lock());
            core_->state.with([&](UnixCore::State& state) {
                if (!state.pending.empty()) {
                    pending.reset(&state.pending.front());
                    state.pending.pop_front();
                    --state.pending_count;
                    core_->note(state);
                    std::swap(made->core_, pending->own);
                    made->set_number(made->core_->number);
                }
            });
        }
        if (pending == nullptr) {
            continue;  // another one was quicker
        }
        made->peer_owner_ = pending->peer->owner;
        peer = name_of(*pending->peer);
        static_cast<void>(made->set_peer(pending->peer));
        core_->queue.wake_all();
        return Ref<OpenFile>(std::move(made));
    }
}

SocketAddress UnixSocket::name() {
    return name_of(*core_);
}

Outcome<SocketAddress> UnixSocket::peer_name() {
    const Ref<UnixCore> other = peer();
    return other ? Outcome<SocketAddress>(name_of(*other)) : fail(Errno::enotconn);
}

SocketOwner UnixSocket::peer_owner() {
    // Of one that listens, who made it listen.
    return peer() ? peer_owner_ : is_listening() ? core_->owner : SocketOwner{};
}

int UnixSocket::take_error() {
    return core_->was_reset.exchange(false, std::memory_order_seq_cst) ? pv::number(Errno::econnreset) : 0;
}

Outcome<> UnixSocket::shutdown(int how) {
    if (how < 0 || how > 2) {
        return fail(Errno::einval);
    }
    const Ref<UnixCore> other = socket_type() == SocketType::datagram ? nullptr : peer();
    if (how != 1) {
        core_->stop_reading();
    }
    if (how != 0) {
        writing_closed_.store(true, std::memory_order_release);
        if (other) {
            other->end_input(false);
        }
    }
    // Writers at the other end wait for room here that will not come.
    constexpr std::uint32_t all = poll_event::readable | poll_event::writable | poll_event::always;
    core_->tell(all);
    if (other) {
        other->tell(all);
    }
    return {};
}

Outcome<Ref<UnixSocket>> UnixSocket::create(SocketType type, std::uint32_t flags, const SocketOwner& owner) {
    Ref<UnixCore> core = PV_TRY(make_core(type, owner));
    auto socket = Ref<UnixSocket>::adopt(new (std::nothrow) UnixSocket(type, flags, std::move(core)));
    return socket ? Outcome<Ref<UnixSocket>>(std::move(socket)) : fail(Errno::enomem);
}

Outcome<Ref<OpenFile>> create_unix_socket(SocketType type, std::uint32_t flags, const SocketOwner& owner) {
    return Ref<OpenFile>(PV_TRY(UnixSocket::create(type, flags, owner)));
}

Outcome<SocketPair> create_unix_pair(SocketType type, std::uint32_t flags, const SocketOwner& owner) {
    auto first = PV_TRY(UnixSocket::create(type, flags, owner));
    auto second = PV_TRY(UnixSocket::create(type, flags, owner));
    static_cast<void>(first->set_peer(second->core_));
    static_cast<void>(second->set_peer(first->core_));
    first->peer_owner_ = second->peer_owner_ = owner;
    if (type == SocketType::datagram) {
        first->core_->only_from.store(second->core_.get(), std::memory_order_release);
        second->core_->only_from.store(first->core_.get(), std::memory_order_release);
    }
    return SocketPair{std::move(first), std::move(second)};
}

}  // namespace pv::fs
