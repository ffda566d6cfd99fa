// The table of device classes.
// SPDX-License-Identifier: MIT
#include "fs/devices.hpp"

#include <array>

#include "base/atomic.hpp"

namespace pv::fs {
namespace {

constexpr std::uint32_t majors = 512;

// Written once each, read without a lock.
constinit std::array<Atomic<DeviceClass*>, majors> character_classes{};
constinit std::array<Atomic<DeviceClass*>, majors> block_classes{};

}  // namespace

Outcome<> register_device_class(NodeType type, std::uint32_t major, DeviceClass& device_class) {
    if (major >= majors) {
        return fail(Errno::einval);
    }
    auto& place = (type == NodeType::block_device ? block_classes : character_classes)[major];
    DeviceClass* nobody = nullptr;
    if (!place.compare_exchange_strong(nobody, &device_class, std::memory_order_acq_rel)) {
        return fail(Errno::ebusy);
    }
    return {};
}

Outcome<Ref<OpenFile>> open_device(const Location& here, NodeType type, DeviceNumber number,
                                   std::uint32_t flags) {
    if (number.major >= majors) {
        return fail(Errno::enxio);
    }
    DeviceClass* found =
        (type == NodeType::block_device ? block_classes : character_classes)[number.major].load(
            std::memory_order_acquire);
    if (found == nullptr) {
        return fail(Errno::enxio);
    }
    return found->open(here, number, flags);
}

}  // namespace pv::fs
