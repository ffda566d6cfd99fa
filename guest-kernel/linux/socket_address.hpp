// Addresses of sockets in calls: from a program's memory to a socket, and back.
// SPDX-License-Identifier: MIT
#pragma once

#include "fs/socket.hpp"
#include "fs/unix_socket.hpp"
#include "linux/call.hpp"

namespace pv::linux {

/// Errors: efault, einval (too long, negative).
[[nodiscard]] Outcome<fs::SocketAddress> read_address(UserAddress from, int length);
/// Writes as much as there is room for, and the whole length; nothing where `to` is null. Errors: efault,
/// einval.
[[nodiscard]] Outcome<> write_address(const fs::SocketAddress& address, UserAddress to,
                                      UserPointer<int> length);

/// Who calls.
[[nodiscard]] fs::SocketOwner owner_of(Call& call);

/// bind(2) of an AF_UNIX socket: makes the node, or takes the abstract name. Errors: as bind(2).
[[nodiscard]] Outcome<> bind_unix(Call& call, fs::UnixSocket& socket, const fs::SocketAddress& address);
/// The socket an AF_UNIX address names, for one of type `type`. Errors: einval, econnrefused, enoent, eacces,
/// eprototype.
[[nodiscard]] Outcome<Ref<fs::UnixCore>> find_unix(Call& call, const fs::SocketAddress& address,
                                                   fs::SocketType type);

}  // namespace pv::linux
