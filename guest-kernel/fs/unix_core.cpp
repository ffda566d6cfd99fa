// The queue behind an AF_UNIX socket.
// SPDX-License-Identifier: MIT
#include "fs/unix_core.hpp"

#include <new>

#include "fs/message_trace.hpp"
#include "fs/unix_transfer.hpp"

namespace pv::fs {

Outcome<std::unique_ptr<UnixMessage>> UnixMessage::create(std::size_t size) {
    std::unique_ptr<UnixMessage> message(new (std::nothrow) UnixMessage);
    if (message == nullptr) {
        return fail(Errno::enomem);
    }
    if (size != 0) {
        message->bytes.reset(new (std::nothrow) std::byte[size]);
        if (message->bytes == nullptr) {
            return fail(Errno::enobufs);
        }
    }
    message->size = size;
    return message;
}

UnixCore::~UnixCore() {
    close_reading();
}

void UnixCore::note(State& now) {
    const bool was_full = !has_room();
    bytes_.store(now.bytes, std::memory_order_release);
    count_.store(now.count, std::memory_order_release);
    pending_count.store(now.pending_count, std::memory_order_release);
    if (was_full && has_room()) {
        for (UnixCore& sender : now.senders) {
            sender.poll_queue.notify(poll_event::writable);
        }
    }
}

Outcome<> UnixCore::put(std::unique_ptr<UnixMessage>& message) {
    const task::SpinGuard guard(transfer_lock());
    return state.with([&](State& now) -> Outcome<> {
        if (!is_read()) {
            return fail(Errno::epipe);
        }
        if (!has_room()) {
            return fail(Errno::eagain);
        }
        begin_flight(message->ancillary);
        trace_own_message(Channel::socket, false, number, message->size);
        now.bytes += message->size;
        ++now.count;
        now.inbox.push_back(*message.release());
        note(now);
        return {};
    });
}

void UnixCore::close_reading() {
    UnixMessages dropped;
    UnixConnections refused;
    {
        const task::SpinGuard guard(transfer_lock());
        state.with([&](State& now) {
            reading_closed_.store(true, std::memory_order_release);
            dropped.swap(now.inbox);
            refused.swap(now.pending);
            now.bytes = now.count = now.pending_count = 0;
            note(now);
        });
    }
    drop_messages(dropped);
    refused.clear_and_dispose([](UnixPending* pending) {
        pending->peer->was_reset.store(true, std::memory_order_release);
        pending->peer->end_input(true);
        pending->own->close_reading();
        delete pending;
    });
}

void UnixCore::stop_reading() {
    const task::SpinGuard guard(transfer_lock());
    state.with([&](State&) { reading_closed_.store(true, std::memory_order_release); });
}

void UnixCore::end_input(bool is_peer_gone) {
    if (is_peer_gone) {
        peer_gone_.store(true, std::memory_order_release);
    }
    input_over_.store(true, std::memory_order_release);
    // Whether it is hung up altogether, where its peer is still there, is for who is told to find out.
    tell(poll_event::readable | poll_event::read_hang_up |
         (is_peer_gone ? poll_event::hang_up : poll_event::always));
}

void UnixCore::tell(std::uint32_t events) {
    queue.wake_all();
    poll_queue.notify(events);
}

}  // namespace pv::fs
