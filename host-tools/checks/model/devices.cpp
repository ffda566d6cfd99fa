// Devices by address: BARs as they are mapped, names, kinds.
// SPDX-License-Identifier: MIT
#include "checks/model/devices.hpp"

#include <fmt/format.h>

#include <cstddef>
#include <iterator>

namespace pv::checks {

using trace::Kind;

std::string_view operation_name(std::uint32_t operation) {
    switch (operation) {
        case PV_OPERATION_READ:
            return "read";
        case PV_OPERATION_WRITE:
            return "write";
        case PV_OPERATION_FLUSH:
            return "flush";
        case PV_OPERATION_DISCARD:
            return "discard";
        case PV_OPERATION_WRITE_ZEROES:
            return "write zeroes";
        case PV_OPERATION_ADMIN:
            return "admin";
        case PV_OPERATION_SEND:
            return "send";
        default:
            return "other";
    }
}

std::string bdf_text(Bdf bdf) {
    const std::uint32_t segment = bdf >> 16;
    const std::string text = fmt::format("{:02x}:{:02x}.{:x}", (bdf >> 8) & 0xff, (bdf >> 3) & 0x1f, bdf & 7);
    return segment == 0 ? text : fmt::format("{:04x}:{}", segment, text);
}

Devices::Devices(const Context& context) : context_(context) {
    for (const store::Device& device : context.devices) {
        if (device.kind == "nvme") {
            learn_kind(device.bdf, PV_DEVICE_NVME);
        } else if (device.kind == "virtio-blk") {
            learn_kind(device.bdf, PV_DEVICE_VIRTIO_BLK);
        } else if (device.kind == "virtio-net") {
            learn_kind(device.bdf, PV_DEVICE_VIRTIO_NET);
        }
    }
}

void Devices::learn_kind(Bdf bdf, std::uint32_t kind) {
    DeviceState& device = devices_[bdf];
    device.bdf = bdf;
    device.kind = kind;
}

void Devices::add(const Bar& bar) {
    if (bar.size == 0 || bar.address + bar.size < bar.address) {
        return;
    }
    // A guest that sizes or moves BARs may let them overlap for a moment: the last one said counts.
    auto next = bars_.lower_bound(bar.address);
    if (next != bars_.begin() && std::prev(next)->second.contains(bar.address)) {
        --next;
    }
    while (next != bars_.end() && next->first < bar.address + bar.size) {
        next = bars_.erase(next);
    }
    // A guest may name any number of register windows; a machine has few.
    constexpr std::size_t most = 65'536;
    if (bars_.size() < most) {
        bars_.emplace(bar.address, bar);
    }
}

void Devices::see(const trace::Event& event) {
    switch (event.kind) {
        case Kind::pci_bar_map:
            add({trace::get<Kind::pci_bar_map, "address">(event),
                 trace::get<Kind::pci_bar_map, "size">(event),
                 static_cast<Bdf>(trace::get<Kind::pci_bar_map, "bdf">(event)),
                 static_cast<std::uint32_t>(trace::get<Kind::pci_bar_map, "bar">(event))});
            break;
        case Kind::pci_bar_unmap: {
            const auto bar = bars_.find(trace::get<Kind::pci_bar_unmap, "address">(event));
            if (bar != bars_.end() && bar->second.bdf == trace::get<Kind::pci_bar_unmap, "bdf">(event)) {
                bars_.erase(bar);
            }
            break;
        }
        case Kind::marker_device: {
            const auto bdf = static_cast<Bdf>(trace::get<Kind::marker_device, "device">(event));
            learn_kind(bdf, static_cast<std::uint32_t>(trace::get<Kind::marker_device, "kind">(event)));
            devices_[bdf].announced = true;
            const std::uint64_t registers = trace::get<Kind::marker_device, "registers">(event);
            // QEMU's own word for a BAR counts more than the guest's.
            if (find(registers) == nullptr) {
                add({registers, trace::get<Kind::marker_device, "length">(event), bdf, 0});
            }
            break;
        }
        case Kind::marker_device_release: {
            const auto device = devices_.find(static_cast<Bdf>(event.args[0]));
            if (device != devices_.end()) {
                device->second.announced = false;
            }
            break;
        }
        default:
            break;
    }
}

const Bar* Devices::find(std::uint64_t address) const {
    auto bar = bars_.upper_bound(address);
    if (bar == bars_.begin()) {
        return nullptr;
    }
    --bar;
    return bar->second.contains(address) ? &bar->second : nullptr;
}

const DeviceState* Devices::find_device(Bdf bdf) const {
    const auto device = devices_.find(bdf);
    return device == devices_.end() ? nullptr : &device->second;
}

Region Devices::region(std::uint64_t text_id) const {
    constexpr std::size_t most = 65'536;
    const auto known = regions_.find(text_id);
    if (known != regions_.end()) {
        return known->second;
    }
    const std::string text = context_.text ? context_.text(text_id) : std::string();
    Region region = Region::other;
    if (text == "nvme") {
        region = Region::nvme;
    } else if (text.starts_with("virtio-pci-common")) {
        region = Region::virtio_common;
    } else if (text.starts_with("virtio-pci-notify")) {
        region = Region::virtio_notify;
    } else if (text.starts_with("virtio-pci-isr")) {
        region = Region::virtio_isr;
    } else if (text.starts_with("virtio-pci-device")) {
        region = Region::virtio_device;
    } else if (text == "virtio-pci") {
        region = Region::virtio_legacy;
    } else if (text.starts_with("msix-")) {
        region = Region::msix;
    }
    if (regions_.size() < most) {
        regions_.emplace(text_id, region);
    }
    return region;
}

std::optional<RegisterUse> Devices::register_use(const trace::Event& event) const {
    static_assert(trace::argument(Kind::mmio_read, "region_text") ==
                  trace::argument(Kind::mmio_write, "region_text"));
    if (event.kind != Kind::mmio_read && event.kind != Kind::mmio_write) {
        return std::nullopt;
    }
    const Region of = region(trace::get<Kind::mmio_read, "region_text">(event));
    if (of == Region::other) {
        return std::nullopt;
    }
    const std::uint64_t address = trace::get<Kind::mmio_read, "address">(event);
    const Bar* bar = find(address);
    if (bar == nullptr) {
        return std::nullopt;
    }
    const std::uint64_t offset = address - bar->address;
    return RegisterUse{.region = of,
                       .bar = bar,
                       .write = event.kind == Kind::mmio_write,
                       .offset = offset,
                       .structure = offset & 0xfff,
                       .value = trace::get<Kind::mmio_read, "value">(event),
                       .size = trace::get<Kind::mmio_read, "size">(event)};
}

std::string Devices::name(Bdf bdf) const {
    if (bdf == no_device) {
        return "a device";
    }
    for (const store::Device& device : context_.devices) {
        if (device.bdf == bdf && !device.name.empty()) {
            return device.name;
        }
    }
    return bdf_text(bdf);
}

std::string Devices::long_name(Bdf bdf) const {
    if (bdf == no_device) {
        return "a device that the trace does not tell apart";
    }
    const DeviceState* state = find_device(bdf);
    std::string_view kind;
    if (state != nullptr && state->kind == PV_DEVICE_NVME) {
        kind = "nvme ";
    } else if (state != nullptr && state->kind == PV_DEVICE_VIRTIO_BLK) {
        kind = "virtio-blk ";
    } else if (state != nullptr && state->kind == PV_DEVICE_VIRTIO_NET) {
        kind = "virtio-net ";
    }
    for (const store::Device& device : context_.devices) {
        if (device.bdf == bdf && !device.name.empty()) {
            return fmt::format("{} ({}{})", device.name, kind, bdf_text(bdf));
        }
    }
    return fmt::format("{}{}", kind, bdf_text(bdf));
}

Bdf Devices::named(std::string_view name) const {
    for (const store::Device& device : context_.devices) {
        if (device.name == name) {
            return device.bdf;
        }
    }
    return no_device;
}

}  // namespace pv::checks
