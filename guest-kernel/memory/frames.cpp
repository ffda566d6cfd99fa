// The owner of a block of frames.
// SPDX-License-Identifier: MIT
#include "memory/frames.hpp"

#include <cstring>

#include "memory/direct_map.hpp"

namespace pv::memory {

Result<Frames> Frames::allocate(unsigned order) {
    return Frames(PV_TRY(allocate_frames(order)), order);
}

Result<Frames> Frames::allocate_zeroed(std::uint64_t bytes) {
    if (bytes == 0) {
        return fail(Error::invalid_argument);
    }
    Frames frames = PV_TRY(allocate(order_for(bytes)));
    std::memset(frames.bytes().data(), 0, frames.bytes().size());
    return frames;
}

std::span<std::byte> Frames::bytes() const {
    return {valid_ ? to_pointer(address_) : nullptr, static_cast<std::size_t>(size())};
}

}  // namespace pv::memory
