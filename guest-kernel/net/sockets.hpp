// What programs' sockets have on the network's thread, as a whole.
// SPDX-License-Identifier: MIT
#pragma once

#include <boost/intrusive/list.hpp>
#include <cstddef>
#include <cstdint>

#include "base/atomic.hpp"
#include "base/function_ref.hpp"
#include "net/endpoint.hpp"
#include "net/errand.hpp"

namespace pv::net {

/// What /proc/net tells of one.
struct SocketFacts {
    int protocol = 0;  ///< as IPPROTO_TCP
    std::uint16_t family = 0;
    Endpoint local{};
    Endpoint remote{};
    unsigned state = 0;  ///< as Linux numbers them: TCP_ESTABLISHED is 1, TCP_CLOSE 7, TCP_LISTEN 10
    std::size_t to_send = 0;
    std::size_t received = 0;
};

/// What is behind a socket; lwIP's control block belongs to it.
class SocketCore
    : public Errand,
      public boost::intrusive::list_base_hook<boost::intrusive::link_mode<boost::intrusive::normal_link>> {
  public:
    /// The network ends: no control block any more, whoever waits is told. `usable`: lwIP may still be
    /// called.
    virtual void network_ends(bool usable) = 0;
    /// A port unreachable came for what was sent from `local` to `remote` by UDP.
    virtual void unreachable(const Endpoint& local, const Endpoint& remote) = 0;
    [[nodiscard]] virtual SocketFacts facts() = 0;

    Atomic<std::uint64_t> file_number{0};  ///< of the open file, as stat tells it
};

// On the network's thread, inside port::guarded unless said otherwise.

/// Takes part in what unreachable destinations tell (RFC 792, RFC 4443).
void start_sockets();
/// Ends all sockets' connections.
void stop_sockets();
/// The same for what is left, without lwIP; outside of port::guarded.
void abandon_sockets();

/// From the moment it has a control block until it has none: owned as long.
void enlist(SocketCore& core);
/// May end the core.
void retire(SocketCore& core);
[[nodiscard]] std::size_t enlisted_count();
void for_each_enlisted(FunctionRef<void(SocketCore&)> each);

}  // namespace pv::net
