// Connections as programs see them: sending and receiving.
// SPDX-License-Identifier: MIT
#include <algorithm>

#include "fs/wait.hpp"
#include "net/tcp_socket.hpp"

namespace pv::net {

using namespace fs;

Outcome<> TcpSocket::wait_for_room(std::uint32_t flags, Deadline until) {
    while (true) {
        const TcpPhase phase = core_->phase();
        if (phase != TcpPhase::connecting) {
            if (const int error = core_->take_error(); error != 0) {
                return fail(static_cast<Errno>(error));
            }
            if (phase != TcpPhase::connected || core_->is_output_over()) {
                return fail(Errno::epipe);
            }
            if (core_->has_room()) {
                return {};
            }
        }
        if (must_not_wait(flags)) {
            return fail(Errno::eagain);
        }
        PV_TRY(wait_or_again(core_->queue, until, [&] {
            return core_->phase() != phase || core_->is_output_over() ||
                   (phase == TcpPhase::connected && core_->has_much_room());
        }));
    }
}

// One piece, copied from the program without a spinlock.
Outcome<std::size_t> TcpSocket::put(Source& source, ByteChunk& carrier) {
    const std::size_t room = TcpCore::send_max - std::min(core_->to_send(), TcpCore::send_max);
    const std::size_t wanted = std::min({source.left(), carrier.bytes.size(), room});
    const std::size_t taken = PV_TRY(source.take(std::span(carrier.bytes).first(wanted)));
    std::span<const std::byte> bytes = std::span(carrier.bytes).first(taken);
    std::size_t done = 0;
    while (done < taken) {
        std::unique_ptr<ByteChunk> fresh = ByteChunk::create();
        if (fresh == nullptr) {
            break;
        }
        core_->state.with([&](TcpCore::State& state) {
            done += state.to_send.put(bytes.subspan(done), fresh);
            core_->note(state);
        });
    }
    return done == 0 && taken != 0 ? fail(Errno::enobufs) : Outcome<std::size_t>(done);
}

Outcome<std::size_t> TcpSocket::send(Source& source, const SocketAddress*, Ancillary& ancillary,
                                     std::uint32_t flags) {
    if (!ancillary.files.empty()) {
        return fail(Errno::einval);
    }
    const Deadline until = deadline(options().send_timeout);
    const std::unique_ptr<ByteChunk> carrier = ByteChunk::create();
    if (carrier == nullptr) {
        return fail(Errno::enobufs);
    }
    std::size_t done = 0;
    MutexGuard guard(core_->write_lock);
    do {
        if (!core_->has_room() || core_->phase() != TcpPhase::connected || core_->is_output_over() ||
            core_->error() != 0) {
            if (done != 0) {
                core_->push();
            }
            guard.unlock();
            const Outcome<> waited = wait_for_room(flags, until);
            if (!waited) {
                return done != 0 ? Outcome<std::size_t>(done) : fail(waited.error());
            }
            guard.lock();
            continue;
        }
        const std::size_t left = source.left();
        const Outcome<std::size_t> count = put(source, *carrier);
        if (!count || (*count == 0 && left != 0)) {
            core_->push();
            return done != 0 ? Outcome<std::size_t>(done) : fail(count ? Errno::efault : count.error());
        }
        done += *count;
        if (*count < left - source.left()) {
            break;  // no memory for the rest
        }
    } while (source.left() != 0);
    guard.unlock();
    core_->push();
    return done;
}

Outcome<bool> TcpSocket::wait_for_input(std::uint32_t flags, Deadline until) {
    while (core_->received() == 0) {
        const TcpPhase phase = core_->phase();
        if (phase == TcpPhase::fresh || phase == TcpPhase::listening) {
            return fail(Errno::enotconn);
        }
        if (const int error = phase == TcpPhase::connecting ? 0 : core_->take_error(); error != 0) {
            return fail(static_cast<Errno>(error));
        }
        if (core_->is_input_over()) {
            return false;
        }
        if (must_not_wait(flags)) {
            return fail(Errno::eagain);
        }
        PV_TRY(wait_or_again(core_->queue, until, [&] {
            return core_->received() != 0 || core_->is_input_over() ||
                   (core_->phase() != TcpPhase::connecting && core_->phase() != TcpPhase::connected);
        }));
    }
    return true;
}

// The reader's lock is held: the bytes in front stay where they are.
Outcome<std::size_t> TcpSocket::take(Target& target, std::size_t most, std::uint32_t flags) {
    const bool peeks = (flags & message_flag::peek) != 0;
    const bool drops = (flags & message_flag::truncated) != 0;
    std::size_t done = 0;
    while (done < most) {
        const auto there = core_->state.with([&](const TcpCore::State& state) {
            return peeks ? state.received.from(done) : state.received.front();
        });
        const std::size_t part = std::min(there.size(), most - done);
        if (part == 0) {
            break;
        }
        std::size_t put = part;
        if (!drops) {
            const Outcome<std::size_t> copied = target.put(there.first(part));
            if (!copied) {
                return done != 0 ? Outcome<std::size_t>(done) : copied;
            }
            put = *copied;
        }
        if (!peeks) {
            std::unique_ptr<ByteChunk> gone;
            core_->state.with([&](TcpCore::State& state) {
                gone = state.received.take(put);
                core_->note(state);
            });
            core_->consumed(put);
        }
        done += put;
        if (put < part) {
            break;
        }
    }
    return done;
}

Outcome<> TcpSocket::receive(Target& target, std::uint32_t flags, Received& received) {
    const Deadline until = deadline(options().receive_timeout);
    const std::size_t most = target.left();
    const bool wants_all = (flags & message_flag::wait_all) != 0 && (flags & message_flag::peek) == 0;
    do {
        const Outcome<bool> there = wait_for_input(flags, until);
        if (!there || !*there) {
            // What was read before the end, or before a signal, counts.
            return received.count != 0 || there ? Outcome<>() : fail(there.error());
        }
        const MutexGuard guard(core_->read_lock);
        const Outcome<std::size_t> count = take(target, most - received.count, flags);
        if (!count) {
            return received.count != 0 ? Outcome<>() : fail(count.error());
        }
        if (*count == 0 && core_->received() == 0 && most != 0) {
            continue;  // another reader was quicker
        }
        received.count += *count;
        if (!wants_all) {
            break;
        }
    } while (received.count < most);
    received.whole = received.count;
    return {};
}

}  // namespace pv::net
