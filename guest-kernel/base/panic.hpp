// The end of a kernel whose own invariant is broken. Never for what came from outside.
// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <source_location>
#include <span>
#include <string_view>

#include "base/format.hpp"

namespace pv {

/// Says what and where with a symbolised back trace, then powers off with status 255. Any context.
/// Kernel: arch/x86_64/panic.cpp. Hosted: prints and aborts, so that a death test can expect it.
[[noreturn]] void panic_with(std::string_view format, std::span<const format::Argument> arguments,
                             std::source_location where);

namespace detail {

/// Carries the caller's place past a parameter pack.
template <class... Args>
struct Located : format::String<Args...> {
    template <class T>
    consteval Located(const T& literal,  // NOLINT(google-explicit-constructor)
                      std::source_location place = std::source_location::current())
        : format::String<Args...>(literal), where(place) {}

    std::source_location where;
};

}  // namespace detail

template <class... Args>
[[noreturn]] void panic(detail::Located<std::type_identity_t<Args>...> format, const Args&... args) {
    panic_with(format.text(), std::array<format::Argument, sizeof...(Args)>{format::make_argument(args)...},
               format.where);
}

}  // namespace pv

/// A broken invariant of this kernel itself. Checked in every build.
#define PV_ASSERT(condition)                              \
    do {                                                  \
        if (!(condition)) [[unlikely]] {                  \
            ::pv::panic("broken invariant: " #condition); \
        }                                                 \
    } while (0)
