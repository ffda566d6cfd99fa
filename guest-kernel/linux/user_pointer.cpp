// Copies from and to a program's memory.
// SPDX-License-Identifier: MIT
#include "linux/user_pointer.hpp"

#include <algorithm>

namespace pv::linux {
namespace {

// How much of [at, at + length) lies where programs may be.
std::size_t reachable(UserAddress at, std::size_t length) {
    return at >= arch::user_end ? 0 : std::min<std::uint64_t>(length, arch::user_end - at);
}

}  // namespace

Outcome<> copy_in(std::span<std::byte> to, UserAddress from) {
    if (reachable(from, to.size()) != to.size() || arch::copy_from_user(to.data(), from, to.size()) != 0) {
        return fail(Errno::efault);
    }
    return {};
}

Outcome<> copy_out(UserAddress to, std::span<const std::byte> from) {
    if (reachable(to, from.size()) != from.size() || arch::copy_to_user(to, from.data(), from.size()) != 0) {
        return fail(Errno::efault);
    }
    return {};
}

Outcome<std::size_t> UserString::read(std::span<char> room) const {
    std::size_t length = 0;
    while (length < room.size()) {
        const UserAddress at = address + length;
        // To the end of a page at a time: what follows may not be there, nor be needed.
        const std::size_t piece =
            std::min<std::size_t>({room.size() - length, page_size - at.page_offset(), 256});
        if (reachable(at, piece) == 0) {
            return fail(Errno::efault);
        }
        const std::size_t left = arch::copy_from_user(room.data() + length, at, piece);
        const std::span<const char> got = room.subspan(length, piece - left);
        const auto zero = std::find(got.begin(), got.end(), '\0');
        if (zero != got.end()) {
            return length + static_cast<std::size_t>(zero - got.begin());
        }
        if (left != 0) {
            return fail(Errno::efault);
        }
        length += piece;
    }
    return fail(Errno::enametoolong);
}

Outcome<std::size_t> UserSource::take(std::span<std::byte> to) {
    const std::size_t wanted = reachable(at_, to.size());
    const std::size_t taken = wanted - arch::copy_from_user(to.data(), at_, wanted);
    if (taken == 0 && !to.empty()) {
        return fail(Errno::efault);
    }
    at_ = at_ + taken;
    left_ -= taken;
    return taken;
}

Outcome<std::size_t> UserTarget::put(std::span<const std::byte> from) {
    const std::size_t wanted = reachable(at_, from.size());
    const std::size_t given = wanted - arch::copy_to_user(at_, from.data(), wanted);
    if (given == 0 && !from.empty()) {
        return fail(Errno::efault);
    }
    at_ = at_ + given;
    left_ -= given;
    return given;
}

}  // namespace pv::linux
