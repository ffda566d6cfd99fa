// What only a device can do wrong.
// SPDX-License-Identifier: MIT
#include "misbehave/device_fault.hpp"

#include "base/atomic.hpp"

namespace pv::misbehave {

std::optional<DeviceFault> parse_device_fault(std::string_view name) {
    if (name == "lost-interrupt") {
        return DeviceFault::lost_interrupt;
    }
    if (name == "silent-admin") {
        return DeviceFault::silent_admin;
    }
    if (name == "never-ready") {
        return DeviceFault::never_ready;
    }
    return name == "never-reset" ? std::optional{DeviceFault::never_reset} : std::nullopt;
}

#if PV_MISBEHAVE
namespace {

constinit Atomic<unsigned> chosen{0};  // a bit a fault
constinit Atomic<unsigned> interrupts{0};
constexpr unsigned lost_of = 8;

constexpr unsigned bit(DeviceFault fault) {
    return 1U << static_cast<unsigned>(fault);
}

}  // namespace

void choose(DeviceFault fault) {
    chosen.fetch_or(bit(fault), std::memory_order_release);
}

bool happens(DeviceFault fault) {
    if ((chosen.load(std::memory_order_acquire) & bit(fault)) == 0) {
        return false;
    }
    switch (fault) {
        case DeviceFault::lost_interrupt:
            return interrupts.fetch_add(1, std::memory_order_relaxed) % lost_of == lost_of - 1;
        case DeviceFault::silent_admin:
            return (chosen.fetch_and(~bit(fault), std::memory_order_acq_rel) & bit(fault)) != 0;
        case DeviceFault::never_ready:
        case DeviceFault::never_reset:
            return true;
    }
    return false;
}
#endif

}  // namespace pv::misbehave
