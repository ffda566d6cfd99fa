// AF_INET and AF_INET6 sockets of programs (ip(7), ipv6(7)).
//
// ARROWS. These are files (fs/socket.hpp), so net/ uses fs/; fs/ knows nothing of them, and linux/ makes them
// here and has them through fs::Socket from then on. A file holds a core (net/tcp_core.hpp,
// net/datagram_core.hpp), which the network's thread has besides as long as lwIP has a control block for it.
// SPDX-License-Identifier: MIT
#pragma once

#include "fs/socket.hpp"
#include "net/inet_options.hpp"

namespace pv::net {

/// What socket(2) makes. `protocol` 0: what the type has. Errors: eprotonosupport, esocktnosupport, enomem.
[[nodiscard]] Outcome<Ref<fs::OpenFile>> create_inet_socket(std::uint16_t family, fs::SocketType type,
                                                            int protocol, std::uint32_t flags);

/// The port of an Internet address that a program is about to bind; 0 where there is none. For the right to
/// do so (capabilities(7), CAP_NET_BIND_SERVICE).
[[nodiscard]] std::uint16_t port_of(const fs::SocketAddress& address);

/// What both kinds have in common: options.
class InetSocket : public fs::Socket {
  public:
    void options_changed() override;
    Outcome<> set_option(int level, int name, std::span<const std::byte> value) override;
    Outcome<std::size_t> get_option(int level, int name, std::span<std::byte> room) override;

  protected:
    using Socket::Socket;

    [[nodiscard]] virtual InetOptions& inet_options() = 0;
    /// The network's thread is to look at them.
    virtual void push_options() = 0;

    /// Whether it is bound.
    [[nodiscard]] virtual bool has_name() = 0;

    /// The level of the protocol itself.
    [[nodiscard]] virtual Outcome<> set_own_option(int name, int value);
    [[nodiscard]] virtual Outcome<int> get_own_option(int name);
};

/// What ioctl(2) of a socket of any family tells of interfaces (netdevice(7)). Errors: enotty (no such
/// request), enodev, enetdown.
[[nodiscard]] Outcome<std::uint64_t> interface_ioctl(std::uint32_t request, fs::IoctlArgument& argument);

}  // namespace pv::net
