// What is behind an AF_UNIX socket: its queue of messages and its name, shared with those connected to it.
// SPDX-License-Identifier: MIT
#pragma once

#include <boost/intrusive/list.hpp>
#include <boost/intrusive/set_hook.hpp>
#include <memory>

#include "base/atomic.hpp"
#include "fs/socket.hpp"
#include "task/lock.hpp"
#include "task/wait_queue.hpp"

namespace pv::fs {

class UnixSocket;
class UnixCore;

/// One message, or a piece of a stream.
struct UnixMessage
    : boost::intrusive::list_base_hook<boost::intrusive::link_mode<boost::intrusive::normal_link>> {
    /// Errors: enomem.
    [[nodiscard]] static Outcome<std::unique_ptr<UnixMessage>> create(std::size_t size);

    std::unique_ptr<std::byte[]> bytes;
    std::size_t size = 0;
    std::size_t taken = 0;  ///< by readers of a stream
    Ancillary ancillary;
    SocketAddress from;
};

using UnixMessages = boost::intrusive::list<UnixMessage, boost::intrusive::constant_time_size<false>>;

/// A connection that nobody has accepted yet.
struct UnixPending
    : boost::intrusive::list_base_hook<boost::intrusive::link_mode<boost::intrusive::normal_link>> {
    Ref<UnixCore> own;   ///< of the socket that accept will give
    Ref<UnixCore> peer;  ///< of the one that connects
};

using UnixConnections = boost::intrusive::list<UnixPending, boost::intrusive::constant_time_size<false>>;

/// A datagram socket among those connected to the same one.
using UnixSender =
    boost::intrusive::list_base_hook<boost::intrusive::tag<struct UnixSenderTag>,
                                     boost::intrusive::link_mode<boost::intrusive::normal_link>>;

/// LOCKING. What it holds is under its own lock, of which a thread has one at a time. Whatever has open files
/// with it moves under the lock of all transfers besides (fs/unix_transfer.hpp), taken first.
class UnixCore final
    : public RefCounted,
      public boost::intrusive::set_base_hook<boost::intrusive::link_mode<boost::intrusive::normal_link>>,
      public UnixSender {
  public:
    static constexpr std::size_t bytes_max = 212'992;
    static constexpr std::size_t datagrams_max = 512;

    struct State {
        UnixMessages inbox;
        std::size_t bytes = 0;
        std::size_t count = 0;
        UnixConnections pending;
        std::size_t pending_count = 0;
        /// Datagram sockets that are connected to this one, to be told of room. They change under the lock of
        /// all transfers, too.
        boost::intrusive::list<UnixCore, boost::intrusive::base_hook<UnixSender>,
                               boost::intrusive::constant_time_size<false>>
            senders;
    };

    UnixCore(SocketType of_type, const SocketOwner& of) : type(of_type), owner(of) {}

    ~UnixCore() override;

    /// Puts a message at the end. Error: epipe (nobody reads here any more), eagain (no room).
    [[nodiscard]] Outcome<> put(std::unique_ptr<UnixMessage>& message);

    [[nodiscard]] bool has_room() const {
        return bytes_.load(std::memory_order_acquire) < bytes_max &&
               count_.load(std::memory_order_acquire) < datagrams_max;
    }

    [[nodiscard]] std::size_t bytes() const { return bytes_.load(std::memory_order_acquire); }

    [[nodiscard]] bool has_message() const { return count_.load(std::memory_order_acquire) != 0; }

    /// Nothing more is taken here: what is queued stays.
    void stop_reading();
    /// Nobody reads here any more: what is queued goes, and who waits to be accepted is refused.
    void close_reading();
    /// Nothing more will come: its peer has stopped writing, or is gone altogether.
    void end_input(bool is_peer_gone);

    [[nodiscard]] bool is_peer_gone() const { return peer_gone_.load(std::memory_order_acquire); }

    [[nodiscard]] bool is_read() const { return !reading_closed_.load(std::memory_order_acquire); }

    [[nodiscard]] bool is_input_over() const { return input_over_.load(std::memory_order_acquire); }

    /// Tells those who wait here that something changed.
    void tell(std::uint32_t events);

    /// What those who wait look at; the state's lock is held. Tells senders when there is room again.
    void note(State& state);

    const SocketType type;
    const std::uint64_t number = Socket::next_number();  ///< of the socket that reads here
    task::Guarded<State, task::Rank::socket> state;
    task::Mutex read_lock{task::Rank::file};  ///< readers, one after the other
    task::WaitQueue queue;
    PollQueue poll_queue;
    Atomic<bool> is_listening{false};
    Atomic<bool> is_gone{false};    ///< its file has ended
    Atomic<bool> was_reset{false};  ///< the peer went with data unread
    Atomic<std::size_t> pending_count{0};
    Atomic<std::size_t> backlog{0};  ///< one more than this may wait to be accepted
    /// The one a datagram socket takes messages from; nullptr: anybody's. Compared, never looked into.
    Atomic<const UnixCore*> only_from{nullptr};
    // Constant from when others know of it.
    SocketOwner owner;
    SocketAddress name;
    const Node* node = nullptr;  ///< what the name is in a file system; kept by the socket
    bool is_named = false;       ///< in the table of names; guarded by its lock

  private:
    Atomic<bool> reading_closed_{false};
    Atomic<bool> input_over_{false};
    Atomic<bool> peer_gone_{false};
    Atomic<std::size_t> bytes_{0};
    Atomic<std::size_t> count_{0};
};

}  // namespace pv::fs
