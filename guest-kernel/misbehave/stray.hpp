// Memory that no device was ever given: what a misbehaving kernel names to one.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <span>

#include "base/address.hpp"
#include "device/dma/pages.hpp"

namespace pv::misbehave {

struct Stray {
    std::span<std::byte> bytes;
    BusAddress bus;
};

/// `length` bytes that are never mapped and never freed, so that a device that uses them harms nobody.
/// Empty when there is no memory.
[[nodiscard]] inline Stray stray(std::size_t length) {
    auto pages = dma::Pages::allocate(length);
    if (!pages) {
        return {};
    }
    const Stray stray{pages->bytes(), BusAddress{pages->physical().value()}};
    pages->leak();
    return stray;
}

}  // namespace pv::misbehave
