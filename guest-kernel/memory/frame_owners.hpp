// Frames with several owners: what copy-on-write, shared mappings and files' pages stand on.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>

#include "base/address.hpp"

namespace pv::memory {

/// A single frame (order 0) that allocate_frames gave out has one owner. Each more is counted; whoever drops
/// the last one frees the frame. Any context but NMI.
void add_owner(PhysicalAddress frame);
/// Frees the frame when it was the last owner's.
void drop_owner(PhysicalAddress frame);
/// Owners at this moment, at least 1. When it is 1 and the caller is that owner, it stays so until the caller
/// lets others have it.
[[nodiscard]] std::uint32_t owners(PhysicalAddress frame);

}  // namespace pv::memory
