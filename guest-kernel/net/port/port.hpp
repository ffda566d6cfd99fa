// lwIP under this kernel's control: started once, called within a guard, its memory bounded.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/function_ref.hpp"

namespace pv::net::port {

/// Starts lwIP, the first time it is called. On the network's thread, as everything below.
void start();

/// Ends every connection and forgets every fragment: the memory of all packets comes back. After the
/// interfaces are gone; lwIP can be used again then.
void finish();

/// Calls `work`, which may call lwIP. False when an invariant of lwIP's broke inside: it was left where that
/// happened, the line is on the console, and lwIP must not be called ever again. Frames of lwIP and of its
/// callbacks are gone then without being unwound.
[[nodiscard]] bool guarded(FunctionRef<void()> work);

/// Whether an invariant broke.
[[nodiscard]] bool broken();

struct Memory {
    std::size_t used = 0;     ///< bytes of packets
    std::size_t highest = 0;  ///< most that ever were
    std::uint64_t refused = 0;
};

/// Any context.
[[nodiscard]] Memory memory();

/// What packets may take together, in bytes.
inline constexpr std::size_t memory_limit = std::size_t{8} << 20;

}  // namespace pv::net::port
