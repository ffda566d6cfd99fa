// One system call on its way: who asks, with what, and how handlers of typed arguments are called.
// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <type_traits>
#include <utility>

#include "arch/x86_64/trap.hpp"
#include "base/errno.hpp"
#include "linux/user_pointer.hpp"
#include "task/process.hpp"

namespace pv::linux {

/// Given to each handler.
struct Call {
    task::UserThread& thread;
    arch::TrapFrame& frame;

    [[nodiscard]] task::Process& process() const { return thread.process(); }
};

/// What a call returns: the value for the program, or its error.
using Value = Outcome<std::uint64_t>;
using Handler = Value (*)(Call& call);

enum class Support : std::uint8_t {
    full,
    partial,  ///< the table says what differs
};

/// Whether a call that a signal ended begins again (signal(7)): after a handler with SA_RESTART and where
/// none ran; in the second case only; never.
enum class Restart : std::uint8_t { yes, unless_handled, no };

/// One call. docs/linux.md is made from these.
struct Entry {
    unsigned number = 0;
    std::string_view name;
    Handler handler = nullptr;
    Support support = Support::full;
    std::string_view note = {};  ///< what differs from Linux, for people
    Restart restart = Restart::yes;
};

namespace detail {

template <class T>
T argument_as(std::uint64_t value) {
    if constexpr (std::is_integral_v<T>) {
        return static_cast<T>(value);  // the upper half of a register is no part of an int
    } else if constexpr (std::is_same_v<T, UserAddress>) {
        return UserAddress(value);
    } else if constexpr (std::is_same_v<T, UserString>) {
        return UserString{UserAddress(value)};
    } else {
        return T(value);
    }
}

template <auto Function>
struct Adapter;

template <class... Args, Value (*Function)(Call&, Args...)>
struct Adapter<Function> {
    static Value call(Call& c) {
        const std::array<std::uint64_t, 6> registers{c.frame.rdi, c.frame.rsi, c.frame.rdx,
                                                     c.frame.r10, c.frame.r8,  c.frame.r9};
        return [&]<std::size_t... I>(std::index_sequence<I...>) {
            return Function(c, argument_as<Args>(registers[I])...);
        }(std::index_sequence_for<Args...>{});
    }
};

}  // namespace detail

/// A handler of registers from a function of typed arguments.
template <auto Function>
inline constexpr Handler handler_of = &detail::Adapter<Function>::call;

/// For results that say nothing.
[[nodiscard]] inline Value done(const Outcome<>& outcome) {
    if (!outcome) {
        return std::unexpected(outcome.error());
    }
    return 0;
}

}  // namespace pv::linux
