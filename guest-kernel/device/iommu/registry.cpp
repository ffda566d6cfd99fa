// Which device has which domain: asked by every DMA mapping and by interrupts.
// SPDX-License-Identifier: MIT
#include "device/iommu/registry.hpp"

#include <algorithm>

#include "base/atomic.hpp"
#include "base/log.hpp"

namespace pv::iommu {
namespace {

constinit Atomic<const Vector<Attached>*> devices_confined{nullptr};

const Attached* find(marker::Device device) {
    const Vector<Attached>* devices = devices_confined.load(std::memory_order_acquire);
    if (devices == nullptr) {
        return nullptr;
    }
    const auto* at = std::lower_bound(devices->begin(), devices->end(), device,
                                      [](const Attached& a, marker::Device d) { return a.device < d; });
    return at != devices->end() && at->device == device ? at : nullptr;
}

}  // namespace

void confine(const Vector<Attached>* devices) {
    devices_confined.store(devices, std::memory_order_release);
}

bool confined() {
    return devices_confined.load(std::memory_order_acquire) != nullptr;
}

Domain* domain_of(marker::Device device) {
    const Attached* attached = find(device);
    return attached == nullptr ? nullptr : attached->domain.get();
}

Result<interrupt::Message> remap(marker::Device device, std::size_t source,
                                 const interrupt::Message& message) {
    const Attached* attached = find(device);
    if (attached == nullptr) {
        return message;
    }
    return attached->unit->remap(device, source, message);
}

void forget_interrupts(marker::Device device) {
    if (const Attached* attached = find(device); attached != nullptr) {
        attached->unit->forget_interrupts(device);
    }
}

void report_fault(const Fault& fault) {
    if (Domain* domain = domain_of(fault.device); domain != nullptr) {
        domain->report(fault);
        return;
    }
    log::error("IOMMU: a device without a domain, {:#x}, may not {} {:#x}: {}",
               static_cast<std::uint32_t>(fault.device), to_string(fault.attempt), fault.address,
               fault.words);
}

}  // namespace pv::iommu
