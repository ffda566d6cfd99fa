// An IOMMU, of whichever kind: what the machine asks of it.
// SPDX-License-Identifier: MIT
#pragma once

#include <memory>
#include <string_view>

#include "base/result.hpp"
#include "device/iommu/domain.hpp"
#include "interrupt/vector.hpp"

namespace pv::iommu {

/// Set up once by machine.cpp and never destroyed.
class Unit {
  public:
    Unit() = default;
    Unit(const Unit&) = delete;
    Unit& operator=(const Unit&) = delete;
    virtual ~Unit() = default;

    /// "VT-d", "virtio-iommu".
    [[nodiscard]] virtual std::string_view kind() const = 0;

    /// Gives `device` a domain of its own, in which nothing is mapped. Threads only. Errors: out_of_memory,
    /// no_space (the unit has no more domains), device_failed.
    [[nodiscard]] virtual Result<std::unique_ptr<Domain>> attach(marker::Device device) = 0;

    /// From now on devices reach only what their domains map; those without a domain reach nothing. Threads
    /// only. Errors: timed_out, device_failed, out_of_memory.
    [[nodiscard]] virtual Result<> enable() = 0;

    /// Nothing is translated any more, as far as the unit obeys; for a set-up that failed half-way. Threads
    /// only.
    virtual void disable() = 0;

    /// What `device` must send so that its interrupt `source` raises `message`: the same, where interrupts
    /// are not remapped. Errors: no_space, device_failed, timed_out.
    [[nodiscard]] virtual Result<interrupt::Message> remap(marker::Device device, std::size_t source,
                                                           const interrupt::Message& message) = 0;
    /// The device's interrupts are let go of.
    virtual void forget_interrupts(marker::Device device) = 0;
};

}  // namespace pv::iommu
