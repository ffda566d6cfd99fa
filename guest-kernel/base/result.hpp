// Errors are values: what every fallible kernel function returns.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <expected>
#include <string_view>
#include <utility>

namespace pv {

/// Why something could not be done. The detail is logged where it happens; a caller decides by kind.
enum class Error : std::uint8_t {
    invalid_argument = 1,  ///< the caller asked for something that cannot be
    out_of_memory,         ///< no frame, no slab, no address space
    timed_out,             ///< the deadline passed first
    not_found,             ///< no such device, table, option, name
    not_supported,         ///< the hardware or this kernel cannot do it
    out_of_range,          ///< an offset, index or length beyond what exists
    corrupt,               ///< bytes from outside contradict themselves or their checksum
    io,                    ///< the device reported a failure
    device_failed,         ///< the device broke its protocol or was declared dead
    busy,                  ///< in use; try again later
    no_space,              ///< a fixed resource (vectors, slots) is used up
    cancelled,             ///< given up because its owner went away
    interrupted,           ///< a recovery of the device ended it: it may have been carried out, or not
};

constexpr std::string_view to_string(Error error) {
    switch (error) {
        case Error::invalid_argument:
            return "invalid argument";
        case Error::out_of_memory:
            return "out of memory";
        case Error::timed_out:
            return "timed out";
        case Error::not_found:
            return "not found";
        case Error::not_supported:
            return "not supported";
        case Error::out_of_range:
            return "out of range";
        case Error::corrupt:
            return "corrupt";
        case Error::io:
            return "input/output error";
        case Error::device_failed:
            return "device failed";
        case Error::busy:
            return "busy";
        case Error::no_space:
            return "no space";
        case Error::cancelled:
            return "cancelled";
        case Error::interrupted:
            return "ended by a recovery of the device";
    }
    return "unknown error";
}

constexpr std::string_view format_argument(Error error) {
    return to_string(error);
}

template <class T = void>
using Result = std::expected<T, Error>;

[[nodiscard]] constexpr std::unexpected<Error> fail(Error error) {
    return std::unexpected(error);
}

}  // namespace pv

/// Evaluates a Result; returns its error from the enclosing function, else yields the value.
/// A number that is not wanted is cast to void: clang refuses it otherwise, GCC does not.
#define PV_TRY(expression)                                 \
    __extension__({                                        \
        auto&& pv_try_result = (expression);               \
        if (!pv_try_result.has_value()) [[unlikely]] {     \
            return std::unexpected(pv_try_result.error()); \
        }                                                  \
        *std::move(pv_try_result);                         \
    })
