// What only a device can do wrong, made at its border: neither QEMU nor a disk's server can be told to.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace pv::misbehave {

/// Chosen by `device-fault=NAME[,NAME]` on the command line of paravane-kernel-misbehave.elf, from the moment
/// when all devices are up. The driver's own code sees what it would see from such a device; nothing of it is
/// skipped.
enum class DeviceFault : std::uint8_t {
    lost_interrupt,  ///< every eighth interrupt of a disk never comes
    silent_admin,    ///< the next NVMe admin command never reaches the controller, and so gets no answer
    never_ready,     ///< an NVMe controller that is reset does not come back
    never_reset,     ///< a virtio device that is told to reset never says that it has
};

#if PV_MISBEHAVE
/// From now on, besides those chosen before.
void choose(DeviceFault fault);

/// Whether it happens now: asked at the place where it does. Any context.
[[nodiscard]] bool happens(DeviceFault fault);
#else
constexpr void choose(DeviceFault) {}

[[nodiscard]] constexpr bool happens(DeviceFault) {
    return false;
}
#endif

/// The fault called `name` in kebab case.
[[nodiscard]] std::optional<DeviceFault> parse_device_fault(std::string_view name);

}  // namespace pv::misbehave
