// Arguments that grow with the version of the interface: a structure and its size as the program knows it.
// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>

#include "base/address.hpp"
#include "linux/user_pointer.hpp"

namespace pv::linux {

/// What a program of another version gives: a shorter structure is filled up with zeros, of a longer one the
/// rest must be zeros. The caller looks at the least `size`. Errors: efault; e2big (more than a page, or
/// something in what is not known).
template <class T>
    requires std::is_trivially_copyable_v<T>
[[nodiscard]] Outcome<T> read_extensible(UserAddress from, std::uint64_t size) {
    if (size > page_size) {
        return fail(Errno::e2big);
    }
    T given{};
    const std::size_t known = std::min<std::uint64_t>(size, sizeof given);
    PV_TRY(copy_in(std::as_writable_bytes(std::span(&given, 1)).first(known), from));
    for (std::size_t i = known; i < size; ++i) {
        std::byte extra{};
        PV_TRY(copy_in(std::span(&extra, 1), from + i));
        if (extra != std::byte{}) {
            return fail(Errno::e2big);
        }
    }
    return given;
}

}  // namespace pv::linux
