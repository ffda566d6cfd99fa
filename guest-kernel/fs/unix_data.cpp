// AF_UNIX sockets: sending, receiving, readiness.
// SPDX-License-Identifier: MIT
#include <asm/ioctls.h>

#include <algorithm>

#include "fs/message_trace.hpp"
#include "fs/unix_transfer.hpp"
#include "fs/wait.hpp"

namespace pv::fs {
namespace {

/// A stream is cut into messages of at most this many bytes.
constexpr std::size_t piece_max = 32768;

Outcome<std::unique_ptr<UnixMessage>> make_message(Source& source, std::size_t size, const UnixCore& from,
                                                   const SocketOwner& sender) {
    auto message = PV_TRY(UnixMessage::create(size));
    if (size != 0) {
        const std::size_t taken = PV_TRY(source.take({message->bytes.get(), size}));
        if (taken == 0) {
            return fail(Errno::efault);
        }
        message->size = taken;
    }
    message->from = from.name;
    message->ancillary.sender = sender;
    return message;
}

/// Copies a message's files for one that only looks at it, under the lock of transfers: what only a queue
/// held has another owner from then on.
Outcome<> copy_files(const Ancillary& from, Ancillary& to) {
    PV_TRY(as_outcome(to.files.reserve(from.files.size())));
    const task::SpinGuard guard(transfer_lock());
    for (const Ref<OpenFile>& file : from.files) {
        PV_TRY(as_outcome(to.files.push_back(file)));
    }
    to.sender = from.sender;
    return {};
}

/// The files leave the queue with whoever receives them.
void take_files(Ancillary& from, Ancillary& to) {
    const task::SpinGuard guard(transfer_lock());
    end_flight(from);
    to.files = std::move(from.files);
    from.files = {};
    to.sender = from.sender;
}

UnixMessage* first_of(UnixCore& core) {
    return core.state.with(
        [](UnixCore::State& state) { return state.inbox.empty() ? nullptr : &state.inbox.front(); });
}

UnixMessage* next_of(UnixCore& core, UnixMessage& message) {
    return core.state.with([&](UnixCore::State& state) -> UnixMessage* {
        auto next = std::next(state.inbox.iterator_to(message));
        return next == state.inbox.end() ? nullptr : &*next;
    });
}

/// A reader is through with the first message.
void remove_first(UnixCore& core, UnixMessage& message) {
    core.state.with([&](UnixCore::State& state) {
        state.inbox.pop_front();
        state.bytes -= message.size - message.taken;
        --state.count;
        core.note(state);
    });
    delete &message;
}

}  // namespace

Outcome<std::size_t> UnixSocket::send(Source& source, const SocketAddress* to, Ancillary& ancillary,
                                      std::uint32_t flags) {
    const Ref<UnixCore> other = peer();
    if (to != nullptr) {
        return fail(other ? Errno::eisconn : Errno::eopnotsupp);
    }
    if (!other) {
        return fail(Errno::enotconn);
    }
    if (socket_type() == SocketType::datagram) {
        const Outcome<std::size_t> sent = send_to(source, other, ancillary, flags);
        if (!sent && sent.error() == Errno::econnrefused) {
            // Told once; what it had sent is gone too.
            static_cast<void>(set_peer(nullptr));
            const MutexGuard guard(core_->read_lock);
            while (UnixMessage* const message = first_of(*core_)) {
                remove_first(*core_, *message);
            }
            // As on Linux, where what could not be sent gives its room back.
            core_->poll_queue.notify(poll_event::writable);
        }
        return sent;
    }
    if (socket_type() == SocketType::sequenced &&
        core_->was_reset.exchange(false, std::memory_order_seq_cst)) {
        return fail(Errno::econnreset);
    }
    const bool is_stream = socket_type() == SocketType::stream;
    if (writing_closed_.load(std::memory_order_acquire) ||
        (is_stream && (core_->is_peer_gone() || !other->is_read()))) {
        return fail(Errno::epipe);
    }
    return is_stream ? send_stream(source, other, ancillary, flags)
                     : send_whole(source, other, ancillary, flags);
}

Outcome<std::size_t> UnixSocket::send_to(Source& source, const Ref<UnixCore>& target, Ancillary& ancillary,
                                         std::uint32_t flags) {
    if (writing_closed_.load(std::memory_order_acquire)) {
        return fail(Errno::epipe);
    }
    if (target->type != SocketType::datagram) {
        return fail(Errno::eprototype);
    }
    const UnixCore* wanted = target->only_from.load(std::memory_order_acquire);
    if (wanted != nullptr && wanted != core_.get()) {
        return fail(Errno::eperm);
    }
    return send_whole(source, target, ancillary, flags);
}

Outcome<std::size_t> UnixSocket::send_whole(Source& source, const Ref<UnixCore>& to, Ancillary& ancillary,
                                            std::uint32_t flags) {
    const std::size_t size = source.left();
    if (size > UnixCore::bytes_max) {
        return fail(Errno::emsgsize);
    }
    auto message = PV_TRY(make_message(source, size, *core_, ancillary.sender));
    if (message->size < size) {
        return fail(Errno::efault);
    }
    message->ancillary.files = std::move(ancillary.files);
    PV_TRY(put_waiting(to, message, flags));
    return size;
}

Outcome<std::size_t> UnixSocket::send_stream(Source& source, const Ref<UnixCore>& to, Ancillary& ancillary,
                                             std::uint32_t flags) {
    std::size_t done = 0;
    while (source.left() != 0) {
        auto message = make_message(source, std::min(source.left(), piece_max), *core_, ancillary.sender);
        if (!message) {
            return done != 0 ? Outcome<std::size_t>(done) : fail(message.error());
        }
        const std::size_t size = (*message)->size;
        const bool is_cut = source.left() != 0 && size < piece_max;
        (*message)->ancillary.files = std::move(ancillary.files);
        ancillary.files = {};
        const Outcome<> put = put_waiting(to, *message, flags);
        if (!put) {
            return done != 0 ? Outcome<std::size_t>(done) : fail(put.error());
        }
        done += size;
        if (is_cut) {
            break;  // the program's memory ended
        }
    }
    return done;
}

Outcome<> UnixSocket::put_waiting(const Ref<UnixCore>& to, std::unique_ptr<UnixMessage>& message,
                                  std::uint32_t flags) {
    const Deadline until = deadline(options().send_timeout);
    while (true) {
        const Outcome<> put = to->put(message);
        if (put) {
            to->tell(poll_event::readable);
            return {};
        }
        if (put.error() != Errno::eagain) {
            return fail(socket_type() == SocketType::datagram && to->is_gone.load(std::memory_order_acquire)
                            ? Errno::econnrefused
                            : put.error());
        }
        if (must_not_wait(flags)) {
            return fail(Errno::eagain);
        }
        PV_TRY(wait_or_again(to->queue, until, [&] {
            return to->has_room() || !to->is_read() || writing_closed_.load(std::memory_order_acquire);
        }));
        if (writing_closed_.load(std::memory_order_acquire)) {
            return fail(Errno::epipe);
        }
    }
}

Outcome<bool> UnixSocket::wait_for_message(std::uint32_t flags, Deadline until) {
    const auto is_over = [&] { return core_->is_input_over() || !core_->is_read(); };
    while (!core_->has_message()) {
        if (is_over()) {
            if (core_->was_reset.exchange(false, std::memory_order_seq_cst)) {
                return fail(Errno::econnreset);
            }
            if (socket_type() == SocketType::datagram && must_not_wait(flags)) {
                return fail(Errno::eagain);
            }
            return false;
        }
        if (must_not_wait(flags)) {
            return fail(Errno::eagain);
        }
        PV_TRY(wait_or_again(core_->queue, until, [&] { return core_->has_message() || is_over(); }));
    }
    return true;
}

Outcome<> UnixSocket::receive(Target& target, std::uint32_t flags, Received& received) {
    if (socket_type() != SocketType::datagram && !peer()) {
        return fail(socket_type() == SocketType::stream ? Errno::einval : Errno::enotconn);
    }
    const Deadline until = deadline(options().receive_timeout);
    const bool is_stream = socket_type() == SocketType::stream;
    if (!is_stream && core_->was_reset.exchange(false, std::memory_order_seq_cst)) {
        return fail(Errno::econnreset);
    }
    // A read of nothing waits all the same.
    while (!is_stream || target.left() != 0 || received.count == 0) {
        const Outcome<bool> there = wait_for_message(flags, until);
        if (!there || !*there) {
            // What was read before the end, or before a signal, counts.
            return received.count != 0 || there ? Outcome<>() : fail(there.error());
        }
        if (is_stream && target.left() == 0) {
            break;
        }
        MutexGuard guard(core_->read_lock);
        if (!core_->has_message()) {
            continue;  // another reader was quicker
        }
        bool goes_on = false;
        Outcome<> taken;
        if (is_stream) {
            const Outcome<bool> more = take_stream(target, flags, received);
            taken = more ? Outcome<>() : fail(more.error());
            goes_on = more.value_or(false);
        } else {
            taken = take_whole(target, flags, received);
        }
        guard.unlock();
        core_->queue.wake_all();
        if (const Ref<UnixCore> other = peer()) {
            other->poll_queue.notify(poll_event::writable);
        }
        if (!taken) {
            return received.count != 0 ? Outcome<>() : taken;
        }
        if (!goes_on || (flags & message_flag::wait_all) == 0 || (flags & message_flag::peek) != 0) {
            break;
        }
    }
    return {};
}

Outcome<> UnixSocket::take_whole(Target& target, std::uint32_t flags, Received& received) {
    const bool peeks = (flags & message_flag::peek) != 0;
    UnixMessage& message = *first_of(*core_);
    const std::size_t part = std::min(message.size, target.left());
    if (part != 0) {
        received.count = PV_TRY(target.put({message.bytes.get(), part}));
    }
    received.whole = message.size;
    received.flags |= part < message.size ? message_flag::truncated : 0;
    received.from = message.from;
    if (peeks) {
        return copy_files(message.ancillary, received.ancillary);
    }
    take_files(message.ancillary, received.ancillary);
    trace_own_message(Channel::socket, true, core_->number, received.count);
    remove_first(*core_, message);
    return {};
}

// True: more of what comes next belongs to the same read.
Outcome<bool> UnixSocket::take_stream(Target& target, std::uint32_t flags, Received& received) {
    const bool peeks = (flags & message_flag::peek) != 0;
    UnixMessage* message = first_of(*core_);
    bool any = received.count != 0;
    while (message != nullptr && target.left() != 0) {
        const bool has_files = !message->ancillary.files.empty();
        const bool is_anothers = options().pass_credentials.load(std::memory_order_relaxed) &&
                                 message->ancillary.sender != received.ancillary.sender;
        if (any && is_anothers) {
            return false;
        }
        const std::size_t part = std::min(message->size - message->taken, target.left());
        const std::size_t put = PV_TRY(target.put({message->bytes.get() + message->taken, part}));
        received.count += put;
        if (!any || has_files) {
            if (peeks) {
                PV_TRY(copy_files(message->ancillary, received.ancillary));
            } else {
                take_files(message->ancillary, received.ancillary);
            }
        }
        any = true;
        if (peeks) {
            message = put < part ? nullptr : next_of(*core_, *message);
        } else {
            trace_own_message(Channel::socket, true, core_->number, put);
            core_->state.with([&](UnixCore::State& state) {
                message->taken += put;
                state.bytes -= put;
                core_->note(state);
            });
            if (message->taken < message->size) {
                return false;
            }
            remove_first(*core_, *message);
            message = first_of(*core_);
        }
        // What comes behind open files is another read's.
        if (has_files) {
            return false;
        }
    }
    received.whole = received.count;
    return true;
}

std::uint32_t UnixSocket::poll(Watcher* watcher) {
    if (watcher != nullptr) {
        core_->poll_queue.add(*watcher);
    }
    if (is_listening()) {
        return core_->pending_count.load(std::memory_order_acquire) != 0 ? poll_event::readable : 0;
    }
    std::uint32_t ready = core_->has_message() ? poll_event::readable : 0;
    bool is_connected = false;
    bool is_heard = true;
    const bool has_room = peer_.with([&](const Ref<UnixCore>& other) {
        is_connected = static_cast<bool>(other);
        is_heard = !other || other->is_read();
        return !other || !other->is_read() || other->has_room();
    });
    if (socket_type() == SocketType::datagram) {
        return ready | (has_room ? poll_event::writable : 0);
    }
    const bool is_over = core_->is_input_over() || !core_->is_read();
    ready |= has_room ? poll_event::writable : 0;
    ready |= is_over ? poll_event::readable | poll_event::read_hang_up : 0;
    ready |= core_->was_reset.load(std::memory_order_acquire) ? poll_event::error : 0;
    const bool is_dead = !is_connected || core_->is_peer_gone() ||
                         (is_over && (!is_heard || writing_closed_.load(std::memory_order_acquire)));
    return ready | (is_dead ? poll_event::hang_up : 0);
}

Outcome<std::uint64_t> UnixSocket::ioctl(std::uint32_t request, IoctlArgument& argument) {
    std::int32_t count = 0;
    switch (request) {
        case FIONREAD:
            if (is_listening()) {
                return fail(Errno::einval);
            }
            count = static_cast<std::int32_t>(core_->state.with([&](const UnixCore::State& state) {
                return socket_type() != SocketType::datagram ? state.bytes
                       : state.inbox.empty()                 ? 0
                                                             : state.inbox.front().size;
            }));
            break;
        case TIOCOUTQ:
            if (const Ref<UnixCore> other = peer()) {
                count = static_cast<std::int32_t>(other->bytes());
            }
            break;
        default:
            return fail(Errno::enotty);
    }
    PV_TRY(argument.write(bytes_of(count)));
    return 0;
}

}  // namespace pv::fs
