// What a device is asked to do about the checksum of a TCP segment.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <span>

#include "net/device.hpp"

namespace pv::net {

/// Where `frame` is TCP over IPv4 or IPv6, and no fragment: writes the sum of its pseudo header (RFC
/// 9293, 3.1) into its checksum field and returns what the device is to add. Nothing is asked of it
/// otherwise.
[[nodiscard]] SumRequest prepare_tcp_sum(std::span<std::byte> frame);

}  // namespace pv::net
