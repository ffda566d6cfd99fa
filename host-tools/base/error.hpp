// What every host tool answers with when it cannot do what was asked.
// SPDX-License-Identifier: MIT
#pragma once

#include <expected>
#include <string>
#include <utility>

namespace pv {

/// Exit statuses of every `paravane` subcommand (docs/manual.md, "Exit status").
enum class ExitStatus : int {
    pass = 0,          ///< done; for `check`: every selected rule was observed and none broken
    fail = 1,          ///< for `check`: at least one finding
    usage = 2,         ///< wrong arguments, unreadable input
    incomplete = 3,    ///< evidence missing, events lost, or the guest did not finish
    unavailable = 4,   ///< this machine cannot do it; the hint says what to install
    interrupted = 130  ///< the user pressed Ctrl-C (128 + SIGINT)
};

/// An error as a person reads it: one line, and one line saying what to do about it.
struct Error {
    ExitStatus status = ExitStatus::usage;
    std::string message;  ///< one line, no trailing period or newline
    std::string hint;     ///< one line; empty only when there is nothing useful to say
};

template <class T = void>
using Result = std::expected<T, Error>;

inline std::unexpected<Error> fail(ExitStatus status, std::string message, std::string hint = {}) {
    return std::unexpected(Error{status, std::move(message), std::move(hint)});
}

}  // namespace pv

/// Evaluates a Result; returns its error from the enclosing function, else yields the value.
/// A number that is not wanted is cast to void: clang refuses it otherwise, GCC does not.
#define PV_TRY(expression)                                            \
    __extension__({                                                   \
        auto&& pv_try_result = (expression);                          \
        if (!pv_try_result.has_value()) {                             \
            return std::unexpected(std::move(pv_try_result).error()); \
        }                                                             \
        *std::move(pv_try_result);                                    \
    })
