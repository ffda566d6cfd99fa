// UNIX sockets.
// SPDX-License-Identifier: MIT
#include "domain/socket.hpp"

#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <cerrno>
#include <cstring>

namespace pv::domain {

Result<Descriptor> listen_at(const std::filesystem::path& path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    const std::string text = path.string();
    if (text.size() >= sizeof address.sun_path) {
        return fail(ExitStatus::unavailable, fmt::format("'{}' is too long for a UNIX socket", text),
                    "set TMPDIR to a folder with a shorter path");
    }
    std::memcpy(address.sun_path, text.c_str(), text.size() + 1);
    Descriptor socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (!socket || ::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
        ::chmod(text.c_str(), 0600) != 0 || ::listen(socket.get(), 1) != 0) {
        return fail(ExitStatus::unavailable, fmt::format("no socket at '{}': {}", text, std::strerror(errno)),
                    "set TMPDIR to a folder of a local file system");
    }
    return socket;
}

bool readable(int descriptor, std::chrono::milliseconds limit) {
    const auto deadline = std::chrono::steady_clock::now() + limit;
    for (;;) {
        int wait = -1;
        if (limit.count() >= 0) {
            const auto left =
                std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
            wait = left.count() < 0 ? 0 : static_cast<int>(std::min<std::int64_t>(left.count(), INT32_MAX));
        }
        pollfd entry{.fd = descriptor, .events = POLLIN, .revents = 0};
        const int ready = ::poll(&entry, 1, wait);
        if (ready > 0) {
            return true;
        }
        if (ready == 0 || errno != EINTR) {
            return false;
        }
    }
}

Result<Descriptor> accept_from(const Descriptor& listener, std::chrono::milliseconds limit) {
    if (!readable(listener.get(), limit)) {
        return fail(ExitStatus::incomplete, "QEMU did not connect to the tool's socket in time",
                    "is this machine overloaded? `paravane doctor` tries QEMU alone");
    }
    Descriptor connection(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
    if (!connection) {
        return fail(ExitStatus::incomplete,
                    fmt::format("QEMU's connection was lost: {}", std::strerror(errno)));
    }
    return connection;
}

}  // namespace pv::domain
