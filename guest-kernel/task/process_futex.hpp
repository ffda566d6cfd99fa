// Futexes: sleeping on a word of a program's memory (futex(2)).
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>

#include "base/address.hpp"
#include "base/deadline.hpp"
#include "base/errno.hpp"
#include "task/process.hpp"

namespace pv::task {

inline constexpr std::uint32_t any_bit = ~0U;

/// Sleeps while the word is `expected`, until woken with a bit of `bits`. Errors: eagain (it is not), efault,
/// einval (unaligned), eintr, etimedout.
[[nodiscard]] Outcome<> futex_wait(UserThread& self, UserAddress at, bool shared, std::uint32_t expected,
                                   std::uint32_t bits, Deadline deadline);
/// Wakes at most `count` and returns how many. Errors: efault, einval.
[[nodiscard]] Outcome<std::uint64_t> futex_wake(UserThread& self, UserAddress at, bool shared,
                                                std::uint32_t count, std::uint32_t bits);
/// Wakes `wake` and moves at most `move` of the others to sleep on `to`; with `expected`, only while the word
/// is that. Returns how many were woken or moved. Errors: eagain, efault, einval.
[[nodiscard]] Outcome<std::uint64_t> futex_requeue(UserThread& self, UserAddress at, UserAddress to,
                                                   bool shared, std::uint32_t wake, std::uint32_t move,
                                                   const std::uint32_t* expected);

/// At a thread's end: zeroes the word and wakes one.
void clear_and_wake(UserThread& self, UserAddress at);
/// At a thread's end: marks the locks it held (set_robust_list(2)) and wakes one for each.
void leave_robust_futexes(UserThread& self);

}  // namespace pv::task
