// A function's list of capabilities, walked so that a list that lies cannot hold the walker.
// SPDX-License-Identifier: MIT
#include "device/pci/capability.hpp"

namespace pv::pci {
namespace {

constexpr std::uint8_t first_possible = 0x40;
constexpr std::uint8_t pointer_mask = 0xfc;  // the low two bits are reserved

}  // namespace

CapabilityWalk::CapabilityWalk(const Function& function) : function_{function} {
    if ((function.read(Registers::status) & Registers::status_capabilities) != 0) {
        offset_ = function.read(Registers::capabilities) & pointer_mask;
    }
}

std::optional<Capability> CapabilityWalk::next() {
    if (offset_ == 0) {
        return std::nullopt;
    }
    if (offset_ < first_possible || seen_[offset_ / 4]) {
        malformed_ = true;
        offset_ = 0;
        return std::nullopt;
    }
    seen_[offset_ / 4] = true;
    const auto head = function_.read(mmio::Register<std::uint16_t>{offset_});
    const auto id = static_cast<std::uint8_t>(head & 0xff);
    if (id == 0xff) {  // the function went away
        malformed_ = true;
        offset_ = 0;
        return std::nullopt;
    }
    const Capability found{CapabilityId{id}, offset_};
    offset_ = static_cast<std::uint8_t>(head >> 8 & pointer_mask);
    return found;
}

std::optional<Capability> find_capability(const Function& function, CapabilityId id) {
    CapabilityWalk walk{function};
    while (const auto capability = walk.next()) {
        if (capability->id == id) {
            return capability;
        }
    }
    return std::nullopt;
}

}  // namespace pv::pci
