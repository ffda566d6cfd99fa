// Calls on sockets: making, naming and connecting them, and their options.
// SPDX-License-Identifier: MIT
#include <asm/unistd.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>

#include "linux/descriptors.hpp"
#include "linux/socket_address.hpp"
#include "linux/socket_common.hpp"
#include "linux/table.hpp"
#include "linux/time_values.hpp"
#include "net/inet_socket.hpp"
#include "net/interface_facts.hpp"
#include "net/netlink_socket.hpp"

namespace pv::linux {
namespace {

constexpr int type_mask = 0xf;

struct Wanted {
    fs::SocketType type = fs::SocketType::stream;
    std::uint32_t flags = 0;  ///< of fs::open_flag
    bool on_exec = false;
};

// socket(2)'s type. Errors: einval, esocktnosupport.
Outcome<Wanted> wanted_of(int type) {
    if ((type & ~(type_mask | SOCK_CLOEXEC | SOCK_NONBLOCK)) != 0) {
        return fail(Errno::einval);
    }
    Wanted wanted{.flags = (type & SOCK_NONBLOCK) != 0 ? fs::open_flag::nonblock : 0,
                  .on_exec = (type & SOCK_CLOEXEC) != 0};
    switch (type & type_mask) {
        case SOCK_STREAM:
            wanted.type = fs::SocketType::stream;
            return wanted;
        case SOCK_DGRAM:
        case SOCK_RAW:  // of AF_UNIX the same
            wanted.type = fs::SocketType::datagram;
            return wanted;
        case SOCK_SEQPACKET:
            wanted.type = fs::SocketType::sequenced;
            return wanted;
        default:
            return fail(Errno::esocktnosupport);
    }
}

bool is_internet(int family) {
    return family == AF_INET || family == AF_INET6;
}

Outcome<> check_protocol(int family, int protocol) {
    if (family != AF_UNIX) {
        return fail(is_internet(family) ? Errno::eopnotsupp : Errno::eafnosupport);
    }
    return protocol != 0 && protocol != AF_UNIX ? fail(Errno::eprotonosupport) : Outcome<>();
}

Outcome<Ref<fs::OpenFile>> make_socket(Call& call, int family, int type, int protocol) {
    const Wanted wanted = PV_TRY(wanted_of(type));
    if (family == AF_NETLINK) {
        const int kind = type & type_mask;
        return kind != SOCK_RAW && kind != SOCK_DGRAM
                   ? fail(Errno::esocktnosupport)
                   : net::create_netlink_socket(kind == SOCK_RAW, protocol, wanted.flags);
    }
    if (!is_internet(family)) {
        PV_TRY(check_protocol(family, protocol));
        return fs::create_unix_socket(wanted.type, wanted.flags, owner_of(call));
    }
    if ((type & type_mask) == SOCK_RAW) {
        return fail(call.thread.identity.has(Capability::net_raw) ? Errno::eprotonosupport : Errno::eperm);
    }
    return net::create_inet_socket(static_cast<std::uint16_t>(family), wanted.type, protocol, wanted.flags);
}

Value socket(Call& call, int family, int type, int protocol) {
    auto made = PV_TRY(make_socket(call, family, type, protocol));
    return as_value(add(call, std::move(made), (type & SOCK_CLOEXEC) != 0));
}

Value socketpair(Call& call, int family, int type, int protocol, UserPointer<std::array<int, 2>> ends) {
    const Wanted wanted = PV_TRY(wanted_of(type));
    PV_TRY(check_protocol(family, protocol));
    auto [one, other] = PV_TRY(fs::create_unix_pair(wanted.type, wanted.flags, owner_of(call)));
    return add_pair(call, std::move(one), std::move(other), wanted.on_exec, ends);
}

Value bind(Call& call, int descriptor, UserAddress address, int length) {
    const auto socket = PV_TRY(get_socket(call, descriptor));
    const fs::SocketAddress name = PV_TRY(read_address(address, length));
    if (socket->family() != AF_UNIX) {
        const std::uint16_t port = net::port_of(name);
        if (port != 0 && port < IPPORT_RESERVED && !call.thread.identity.has(Capability::net_bind_service)) {
            return fail(Errno::eacces);
        }
        return done(socket->bind_address(name));
    }
    return done(bind_unix(call, static_cast<fs::UnixSocket&>(*socket), name));
}

Value connect(Call& call, int descriptor, UserAddress address, int length) {
    const auto socket = PV_TRY(get_socket(call, descriptor));
    const fs::SocketAddress name = PV_TRY(read_address(address, length));
    if (socket->family() != AF_UNIX) {
        const Outcome<> connected = socket->connect_address(name);
        socket->note_unsent(!connected && connected.error() == Errno::einprogress);
        return done(connected);
    }
    auto& own = static_cast<fs::UnixSocket&>(*socket);
    if (name.length >= sizeof(sa_family_t) && name.family() == AF_UNSPEC &&
        own.socket_type() == fs::SocketType::datagram) {
        own.disconnect();
        return 0;
    }
    const auto target = PV_TRY(find_unix(call, name, own.socket_type()));
    return done(own.connect(target, owner_of(call)));
}

Value listen(Call& call, int descriptor, int backlog) {
    return done(PV_TRY(get_socket(call, descriptor))->listen(backlog, owner_of(call)));
}

Value accept4(Call& call, int descriptor, UserAddress address, UserPointer<int> length, int flags) {
    if ((flags & ~(SOCK_CLOEXEC | SOCK_NONBLOCK)) != 0) {
        return fail(Errno::einval);
    }
    const auto socket = PV_TRY(get_socket(call, descriptor));
    fs::SocketAddress peer;
    auto made = PV_TRY(socket->accept(socket->is_nonblocking(),
                                      (flags & SOCK_NONBLOCK) != 0 ? fs::open_flag::nonblock : 0U, peer));
    const int number = PV_TRY(add(call, std::move(made), (flags & SOCK_CLOEXEC) != 0));
    const Outcome<> told = write_address(peer, address, length);
    if (!told) {
        static_cast<void>(call.process().descriptors->close(number));
        return fail(told.error());
    }
    return static_cast<std::uint64_t>(number);
}

Value accept(Call& call, int descriptor, UserAddress address, UserPointer<int> length) {
    return accept4(call, descriptor, address, length, 0);
}

Value getsockname(Call& call, int descriptor, UserAddress address, UserPointer<int> length) {
    const auto socket = PV_TRY(get_socket(call, descriptor));
    return address.value() == 0 ? Value(fail(Errno::efault))
                                : done(write_address(socket->name(), address, length));
}

Value getpeername(Call& call, int descriptor, UserAddress address, UserPointer<int> length) {
    const auto socket = PV_TRY(get_socket(call, descriptor));
    const fs::SocketAddress name = PV_TRY(socket->peer_name());
    return address.value() == 0 ? Value(fail(Errno::efault)) : done(write_address(name, address, length));
}

Value shutdown(Call& call, int descriptor, int how) {
    return done(PV_TRY(get_socket(call, descriptor))->shutdown(how));
}

Outcome<std::uint64_t> timeout_of(UserAddress value, int length) {
    if (static_cast<std::size_t>(length) < sizeof(TimevalValue)) {
        return fail(Errno::einval);
    }
    const TimevalValue given = PV_TRY(UserPointer<const TimevalValue>(value.value()).read());
    if (given.microseconds < 0 || given.microseconds >= 1'000'000) {
        return fail(Errno::edom);
    }
    return given.seconds < 0 ? 0
                             : (Duration::seconds(static_cast<std::uint64_t>(given.seconds)) +
                                Duration::microseconds(static_cast<std::uint64_t>(given.microseconds)))
                                   .to_nanoseconds();
}

// Seconds; negative: off.
Outcome<std::int32_t> read_linger(UserAddress value, int length) {
    if (static_cast<std::size_t>(length) < sizeof(linger)) {
        return fail(Errno::einval);
    }
    const auto given = PV_TRY(UserPointer<const linger>(value.value()).read());
    return given.l_onoff == 0 ? -1 : std::max(given.l_linger, 0);
}

// SO_BINDTODEVICE: sockets are bound to no interface, and can be told so.
Value bind_to_device(UserAddress value, int length) {
    if (length < 0) {
        return fail(Errno::einval);
    }
    std::array<char, IFNAMSIZ> name{};
    const auto given = std::span(name).first(std::min(static_cast<std::size_t>(length), name.size() - 1));
    PV_TRY(copy_in(std::as_writable_bytes(given), value));
    if (name.front() == 0) {
        return 0;
    }
    net::AllInterfaces all;
    PV_TRY(net::find_interfaces(all));
    const bool is_known = std::ranges::any_of(all.view(), [&](const net::InterfaceFacts& interface) {
        return interface.name_text() == name.data();
    });
    return fail(is_known ? Errno::enoprotoopt : Errno::enodev);
}

Value set_priority(Call& call, fs::SocketOptions& options, int given) {
    constexpr int of_everybody = 6;
    if ((given < 0 || given > of_everybody) && !call.thread.identity.has(Capability::net_admin)) {
        return fail(Errno::eperm);
    }
    options.priority.store(given, std::memory_order_relaxed);
    return 0;
}

// Those of SOL_SOCKET.
Value set_common(Call& call, fs::Socket& socket, int name, UserAddress value, int length) {
    fs::SocketOptions& options = socket.options();
    if (name == SO_RCVTIMEO || name == SO_SNDTIMEO) {
        if (length < 0) {
            return fail(Errno::einval);
        }
        const std::uint64_t span = PV_TRY(timeout_of(value, length));
        (name == SO_RCVTIMEO ? options.receive_timeout : options.send_timeout)
            .store(span, std::memory_order_relaxed);
        return 0;
    }
    if (name == SO_BINDTODEVICE) {
        return bind_to_device(value, length);
    }
    if (length < static_cast<int>(sizeof(int))) {
        return fail(Errno::einval);
    }
    const int given = PV_TRY(UserPointer<const int>(value.value()).read());
    switch (name) {
        case SO_PASSCRED:
            options.pass_credentials.store(given != 0, std::memory_order_relaxed);
            return 0;
        case SO_REUSEADDR:
            options.reuse_address.store(given != 0, std::memory_order_relaxed);
            return 0;
        case SO_KEEPALIVE:
            options.keep_alive.store(given != 0, std::memory_order_relaxed);
            return 0;
        case SO_BROADCAST:
            options.broadcast.store(given != 0, std::memory_order_relaxed);
            return 0;
        // Taken, and told again doubled (socket(7)); queues keep their own bounds.
        case SO_SNDBUF:
        case SO_RCVBUF: {
            constexpr std::uint32_t most = 212'992;
            const std::uint32_t size = std::min(static_cast<std::uint32_t>(given), most) * 2;
            (name == SO_SNDBUF ? options.send_buffer : options.receive_buffer)
                .store(std::max<std::uint32_t>(size, name == SO_SNDBUF ? 4608 : 2304),
                       std::memory_order_relaxed);
            return 0;
        }
        case SO_LINGER: {
            const auto wanted = PV_TRY(read_linger(value, length));
            options.linger.store(wanted, std::memory_order_relaxed);
            return 0;
        }
        case SO_REUSEPORT:
            options.reuse_port.store(given != 0, std::memory_order_relaxed);
            return 0;
        case SO_PRIORITY:
            return set_priority(call, options, given);
        case SO_OOBINLINE:
            options.urgent_inline.store(given != 0, std::memory_order_relaxed);
            return 0;
        case SO_TIMESTAMP:
            return 0;
        default:
            return fail(Errno::enoprotoopt);
    }
}

Value setsockopt(Call& call, int descriptor, int level, int name, UserAddress value, int length) {
    const auto socket = PV_TRY(get_socket(call, descriptor));
    if (level != SOL_SOCKET) {
        if (length < 0) {
            return fail(Errno::einval);
        }
        std::array<std::byte, sizeof(std::uint64_t)> bytes{};
        const auto given = std::span(bytes).first(std::min(static_cast<std::size_t>(length), bytes.size()));
        PV_TRY(copy_in(given, value));
        return done(socket->set_option(level, name, given));
    }
    PV_TRY(set_common(call, *socket, name, value, length));
    socket->options_changed();
    return 0;
}

// Writes an option's value, cut to the room the program has.
Value give(std::span<const std::byte> bytes, UserAddress to, UserPointer<int> length) {
    const int room = PV_TRY(length.read());
    if (room < 0) {
        return fail(Errno::einval);
    }
    const std::size_t count = std::min(bytes.size(), static_cast<std::size_t>(room));
    PV_TRY(copy_out(to, bytes.first(count)));
    return done(length.write(static_cast<int>(count)));
}

/// Longer than any (struct tcp_info).
constexpr std::size_t longest_option = 256;

Value getsockopt(Call& call, int descriptor, int level, int name, UserAddress value,
                 UserPointer<int> length) {
    const auto socket = PV_TRY(get_socket(call, descriptor));
    if (level != SOL_SOCKET) {
        const int room = PV_TRY(length.read());
        if (room < 0) {
            return fail(Errno::einval);
        }
        std::array<std::byte, longest_option> bytes{};
        const auto offered = std::span(bytes).first(std::min(static_cast<std::size_t>(room), bytes.size()));
        const std::size_t count = PV_TRY(socket->get_option(level, name, offered));
        PV_TRY(length.write(static_cast<int>(count)));
        return done(copy_out(value, offered.first(count)));
    }
    fs::SocketOptions& options = socket->options();
    int number = 0;
    switch (name) {
        case SO_TYPE:
            number = static_cast<int>(socket->socket_type());
            break;
        case SO_DOMAIN:
            number = socket->family();
            break;
        case SO_PROTOCOL:
            number = socket->protocol();
            break;
        case SO_ERROR:
            number = socket->take_error();
            break;
        case SO_ACCEPTCONN:
            number = socket->is_listening() ? 1 : 0;
            break;
        case SO_PASSCRED:
            number = options.pass_credentials.load(std::memory_order_relaxed) ? 1 : 0;
            break;
        case SO_REUSEADDR:
            number = options.reuse_address.load(std::memory_order_relaxed) ? 1 : 0;
            break;
        case SO_REUSEPORT:
            number = options.reuse_port.load(std::memory_order_relaxed) ? 1 : 0;
            break;
        case SO_KEEPALIVE:
            number = options.keep_alive.load(std::memory_order_relaxed) ? 1 : 0;
            break;
        case SO_BROADCAST:
            number = options.broadcast.load(std::memory_order_relaxed) ? 1 : 0;
            break;
        case SO_OOBINLINE:
            number = options.urgent_inline.load(std::memory_order_relaxed) ? 1 : 0;
            break;
        case SO_PRIORITY:
            number = options.priority.load(std::memory_order_relaxed);
            break;
        case SO_BINDTODEVICE:
            return give({}, value, length);
        case SO_SNDBUF:
            number = static_cast<int>(options.send_buffer.load(std::memory_order_relaxed));
            break;
        case SO_RCVBUF:
            number = static_cast<int>(options.receive_buffer.load(std::memory_order_relaxed));
            break;
        case SO_PEERCRED: {
            const fs::SocketOwner peer = socket->peer_owner();
            const std::array<std::uint32_t, 3> wire{static_cast<std::uint32_t>(peer.process), peer.user,
                                                    peer.group};
            return give(std::as_bytes(std::span(wire)), value, length);
        }
        case SO_RCVTIMEO:
        case SO_SNDTIMEO: {
            const std::uint64_t span = name == SO_RCVTIMEO
                                           ? options.receive_timeout.load(std::memory_order_relaxed)
                                           : options.send_timeout.load(std::memory_order_relaxed);
            return give(fs::bytes_of(TimevalValue::from(Duration::nanoseconds(span))), value, length);
        }
        case SO_LINGER: {
            const std::int32_t seconds = options.linger.load(std::memory_order_relaxed);
            const linger told{.l_onoff = seconds >= 0 ? 1 : 0, .l_linger = std::max(seconds, 0)};
            return give(fs::bytes_of(told), value, length);
        }
        default:
            return fail(Errno::enoprotoopt);
    }
    return give(fs::bytes_of(number), value, length);
}

constexpr Entry entries[] = {
    {__NR_socket, "socket", handler_of<socket>, Support::partial,
     "AF_UNIX; AF_INET and AF_INET6 with TCP, UDP and echo requests; AF_NETLINK with questions about links, "
     "addresses and "
     "routes"},
    {__NR_socketpair, "socketpair", handler_of<socketpair>},
    {__NR_bind, "bind", handler_of<bind>},
    {__NR_connect, "connect", handler_of<connect>},
    {__NR_listen, "listen", handler_of<listen>},
    {__NR_accept, "accept", handler_of<accept>},
    {__NR_accept4, "accept4", handler_of<accept4>},
    {__NR_getsockname, "getsockname", handler_of<getsockname>},
    {__NR_getpeername, "getpeername", handler_of<getpeername>},
    {__NR_shutdown, "shutdown", handler_of<shutdown>},
    {__NR_setsockopt, "setsockopt", handler_of<setsockopt>, Support::partial,
     "the usual ones; the sizes of buffers are told, and change UDP's receiving only; SO_LINGER with a time "
     "does not wait; SO_REUSEPORT does not let two listen; SO_BINDTODEVICE to none only"},
    {__NR_getsockopt, "getsockopt", handler_of<getsockopt>, Support::partial,
     "the usual ones; of TCP_INFO state, times and windows, and no counts"},
};

}  // namespace

constinit const std::span<const Entry> socket_calls = entries;

}  // namespace pv::linux
