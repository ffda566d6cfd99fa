// What all sockets have in common.
// SPDX-License-Identifier: MIT
#include "fs/socket.hpp"

#include <cstring>

#include "base/atomic.hpp"
#include "base/format.hpp"

namespace pv::fs {
namespace {

constinit Atomic<std::uint64_t> last_number{0};

}  // namespace

std::uint16_t SocketAddress::family() const {
    std::uint16_t family = 0;
    if (length >= sizeof family) {
        std::memcpy(&family, bytes.data(), sizeof family);
    }
    return family;
}

std::uint64_t Socket::next_number() {
    return last_number.fetch_add(1, std::memory_order_relaxed) + 1;
}

Socket::Socket(std::uint16_t family, SocketType type, std::uint32_t flags, std::uint64_t number)
    : OpenFile({}, open_flag::read_write | (flags & open_flag::nonblock), Flow::stream),
      family_(family),
      type_(type),
      number_(number) {}

Outcome<> Socket::bind_address(const SocketAddress&) {
    return fail(Errno::eopnotsupp);
}

Outcome<> Socket::connect_address(const SocketAddress&) {
    return fail(Errno::eopnotsupp);
}

Outcome<> Socket::set_option(int, int, std::span<const std::byte>) {
    return fail(Errno::eopnotsupp);
}

Outcome<std::size_t> Socket::get_option(int, int, std::span<std::byte>) {
    return fail(Errno::eopnotsupp);
}

Attributes Socket::attributes() {
    return {.type = NodeType::socket,
            .mode = 0777,
            .number = number_,
            .accessed = born_,
            .modified = born_,
            .changed = born_,
            .born = born_};
}

std::string_view Socket::label(std::span<char> room) const {
    return format::to(room, "socket:[{}]", number_);
}

Outcome<std::size_t> Socket::do_read(std::uint64_t&, Target& target) {
    if (target.left() == 0) {
        return std::size_t{0};
    }
    Received received;
    PV_TRY(receive(target, 0, received));
    return received.count;
}

Outcome<std::size_t> Socket::do_write(std::uint64_t&, bool, Source& source) {
    Ancillary nothing;
    return send(source, nullptr, nothing, 0);
}

Deadline Socket::deadline(const Atomic<std::uint64_t>& timeout) {
    const std::uint64_t span = timeout.load(std::memory_order_relaxed);
    return span == 0 ? Deadline::never("a program waits for another; a signal ends it")
                     : Deadline::after(Duration::nanoseconds(span));
}

}  // namespace pv::fs
