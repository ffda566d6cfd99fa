// Addresses of sockets: copying them, and what AF_UNIX ones name.
// SPDX-License-Identifier: MIT
#include "linux/socket_address.hpp"

#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>

#include "fs/operations.hpp"
#include "linux/exec.hpp"

namespace pv::linux {
namespace {

constexpr std::size_t path_offset = offsetof(sockaddr_un, sun_path);

/// The path of an address of the file system; empty for an abstract one or one without a name.
std::string_view path_of(const fs::SocketAddress& address) {
    if (address.length <= path_offset) {
        return {};
    }
    const std::string_view text(reinterpret_cast<const char*>(address.bytes.data()) + path_offset,
                                std::min(address.length - path_offset, sizeof(sockaddr_un::sun_path)));
    return text.substr(0, text.find('\0'));
}

Outcome<> check_length(const fs::SocketAddress& address) {
    return address.length > sizeof(sockaddr_un) || address.length < path_offset || address.family() != AF_UNIX
               ? fail(Errno::einval)
               : Outcome<>();
}

}  // namespace

Outcome<fs::SocketAddress> read_address(UserAddress from, int length) {
    fs::SocketAddress address;
    if (length < 0 || static_cast<std::size_t>(length) > address.bytes.size()) {
        return fail(Errno::einval);
    }
    address.length = static_cast<std::size_t>(length);
    PV_TRY(copy_in(std::span(address.bytes).first(address.length), from));
    return address;
}

Outcome<> write_address(const fs::SocketAddress& address, UserAddress to, UserPointer<int> length) {
    if (to.value() == 0) {
        return {};
    }
    const int room = PV_TRY(length.read());
    if (room < 0) {
        return fail(Errno::einval);
    }
    PV_TRY(copy_out(
        to, address.view().first(std::min<std::size_t>(static_cast<std::size_t>(room), address.length))));
    return length.write(static_cast<int>(address.length));
}

fs::SocketOwner owner_of(Call& call) {
    const task::Identity& who = call.thread.identity;
    return {call.process().id, who.effective_user, who.effective_group};
}

Outcome<> bind_unix(Call& call, fs::UnixSocket& socket, const fs::SocketAddress& address) {
    PV_TRY(check_length(address));
    if (address.length == path_offset) {
        return socket.bind_anywhere();
    }
    const std::string_view path = path_of(address);
    if (path.empty()) {
        return socket.bind(address, nullptr);
    }
    const Resolver resolver(call.thread);
    if (socket.core()->is_named) {
        return fail(fs::resolve(resolver.caller(), path) ? Errno::eaddrinuse : Errno::einval);
    }
    const auto mode = static_cast<fs::Mode>(0777 & ~unsigned{call.process().context->umask()});
    const auto made = fs::make_node(resolver.caller(), path, fs::NodeType::socket, mode, {});
    if (!made) {
        return fail(made.error() == Errno::eexist ? Errno::eaddrinuse : made.error());
    }
    // As Linux tells it: the path, its zero included.
    fs::SocketAddress name;
    std::copy_n(address.bytes.begin(), path_offset + path.size(), name.bytes.begin());
    name.length = path_offset + path.size() + 1;
    return socket.bind(name, made->node);
}

Outcome<Ref<fs::UnixCore>> find_unix(Call& call, const fs::SocketAddress& address, fs::SocketType type) {
    PV_TRY(check_length(address));
    const std::string_view path = path_of(address);
    if (path.empty()) {
        if (address.length == path_offset) {
            return fail(Errno::econnrefused);
        }
        auto found = PV_TRY(fs::find_unix_socket(address));
        return found->type == type ? Outcome<Ref<fs::UnixCore>>(std::move(found)) : fail(Errno::econnrefused);
    }
    const Resolver resolver(call.thread);
    const fs::Location found = PV_TRY(fs::resolve(resolver.caller(), path));
    PV_TRY(fs::check_access(resolver.caller(), found, fs::bits(fs::Access::write)));
    if (found.node->type() != fs::NodeType::socket) {
        return fail(Errno::econnrefused);
    }
    auto socket = PV_TRY(fs::find_unix_socket(*found.node));
    return socket->type == type ? Outcome<Ref<fs::UnixCore>>(std::move(socket)) : fail(Errno::eprototype);
}

}  // namespace pv::linux
