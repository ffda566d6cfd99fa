// AF_UNIX sockets: connections and datagrams within the machine, which carry open files too (unix(7)).
// SPDX-License-Identifier: MIT
#pragma once

#include "base/atomic.hpp"
#include "fs/unix_core.hpp"

namespace pv::fs {

struct SocketPair {
    Ref<OpenFile> first;
    Ref<OpenFile> second;
};

/// What socket(2) makes. Error: enomem.
[[nodiscard]] Outcome<Ref<OpenFile>> create_unix_socket(SocketType type, std::uint32_t flags,
                                                        const SocketOwner& owner);
/// socketpair(2).
[[nodiscard]] Outcome<SocketPair> create_unix_pair(SocketType type, std::uint32_t flags,
                                                   const SocketOwner& owner);

class UnixSocket final
    : public Socket,
      public boost::intrusive::list_base_hook<boost::intrusive::link_mode<boost::intrusive::normal_link>> {
  public:
    /// Unbound. Error: enomem.
    [[nodiscard]] static Outcome<Ref<UnixSocket>> create(SocketType type, std::uint32_t flags,
                                                         const SocketOwner& owner);

    /// Gives it a name: `node` is the socket node made for it, nullptr for a name of the abstract name space.
    /// Errors: einval (it has one), eaddrinuse.
    [[nodiscard]] Outcome<> bind(const SocketAddress& address, Ref<Node> node);
    /// A name of the abstract name space that nobody has. Error: enospc.
    [[nodiscard]] Outcome<> bind_anywhere();
    /// `target`: what has the address. `owner`: who connects. Errors: econnrefused, eprototype, eisconn,
    /// eagain, eintr.
    [[nodiscard]] Outcome<> connect(const Ref<UnixCore>& target, const SocketOwner& owner);
    /// AF_UNSPEC: a datagram socket has no peer any more.
    void disconnect();

    // Of Socket.
    Outcome<> listen(int backlog, const SocketOwner& owner) override;
    Outcome<Ref<OpenFile>> accept(bool nonblocking, std::uint32_t flags, SocketAddress& peer) override;
    /// `to` must have been looked up: use send_to.
    Outcome<std::size_t> send(Source& source, const SocketAddress* to, Ancillary& ancillary,
                              std::uint32_t flags) override;
    Outcome<> receive(Target& target, std::uint32_t flags, Received& received) override;
    Outcome<> shutdown(int how) override;
    SocketAddress name() override;
    Outcome<SocketAddress> peer_name() override;
    SocketOwner peer_owner() override;

    bool is_listening() override { return core_->is_listening.load(std::memory_order_acquire); }

    int take_error() override;

    std::uint32_t poll(Watcher* watcher) override;
    Outcome<std::uint64_t> ioctl(std::uint32_t request, IoctlArgument& argument) override;

    /// Datagrams to a socket that was looked up.
    Outcome<std::size_t> send_to(Source& source, const Ref<UnixCore>& target, Ancillary& ancillary,
                                 std::uint32_t flags);

    [[nodiscard]] const Ref<UnixCore>& core() const { return core_; }

    // Of fs/unix_transfer.cpp, under its lock.
    std::size_t in_flight = 0;         ///< how many messages carry it
    UnixSocket* next_found = nullptr;  ///< the collector's list
    bool is_reachable = false;

    ~UnixSocket() override;

  private:
    friend Outcome<Ref<OpenFile>> create_unix_socket(SocketType, std::uint32_t, const SocketOwner&);
    friend Outcome<SocketPair> create_unix_pair(SocketType, std::uint32_t, const SocketOwner&);

    UnixSocket(SocketType type, std::uint32_t flags, Ref<UnixCore> core);

    [[nodiscard]] Ref<UnixCore> peer();
    /// False: it has one already.
    [[nodiscard]] bool set_peer(Ref<UnixCore> fresh);
    Outcome<std::size_t> send_stream(Source& source, const Ref<UnixCore>& to, Ancillary& ancillary,
                                     std::uint32_t flags);
    Outcome<std::size_t> send_whole(Source& source, const Ref<UnixCore>& to, Ancillary& ancillary,
                                    std::uint32_t flags);
    Outcome<> connect_stream(const Ref<UnixCore>& target);
    Outcome<> put_waiting(const Ref<UnixCore>& to, std::unique_ptr<UnixMessage>& message,
                          std::uint32_t flags);
    /// True: there is a message; false: none will come.
    Outcome<bool> wait_for_message(std::uint32_t flags, Deadline until);
    Outcome<> take_whole(Target& target, std::uint32_t flags, Received& received);
    Outcome<bool> take_stream(Target& target, std::uint32_t flags, Received& received);

    Ref<UnixCore> core_;
    task::Guarded<Ref<UnixCore>, task::Rank::leaf> peer_;
    SocketOwner peer_owner_;  ///< constant once there is a peer
    Atomic<bool> writing_closed_{false};
    Ref<Node> node_;
};

// The table of names (fs/unix_names.cpp). Error of looking up: econnrefused.
[[nodiscard]] Outcome<Ref<UnixCore>> find_unix_socket(const Node& node);
[[nodiscard]] Outcome<Ref<UnixCore>> find_unix_socket(const SocketAddress& abstract);
/// Under the core's name, or its node. Errors: eaddrinuse, einval (it has one).
[[nodiscard]] Outcome<> enter_unix_name(UnixCore& core, const SocketAddress& address, const Node* node);
void remove_unix_name(UnixCore& core);

}  // namespace pv::fs
