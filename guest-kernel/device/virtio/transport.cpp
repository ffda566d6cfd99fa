// The modern virtio PCI transport: structures found, features agreed on, queues set up.
// SPDX-License-Identifier: MIT
#include "device/virtio/transport.hpp"

#include "base/log.hpp"
#include "device/mmio/poll.hpp"
#include "device/pci/capability.hpp"
#include "device/virtio/spec.hpp"
#include "misbehave/device_fault.hpp"

namespace pv::virtio {
namespace {

/// One vendor capability as a window; the first of each type counts (4.1.4.1).
Result<mmio::Window> structure_window(pci::Device& pci, const pci::Capability& capability,
                                      std::size_t minimum) {
    const pci::Function& function = pci.function();
    const std::uint8_t bar = function.read(capability.reg<std::uint8_t>(PciCapability::bar));
    const std::uint32_t offset = function.read(capability.reg<std::uint32_t>(PciCapability::offset));
    const std::uint32_t length = function.read(capability.reg<std::uint32_t>(PciCapability::size));
    if (bar >= pci::bar_count || length < minimum) {
        return fail(Error::corrupt);
    }
    const pci::BarWindow window = PV_TRY(pci.map_bar(bar));
    const auto part = window.window.part(offset, length, pci.name());
    if (!part || part->physical().value() % 4 != 0) {
        log::error("{}: a virtio structure of {:#x} bytes at {:#x} does not fit BAR {} of {:#x} bytes",
                   pci.name(), length, offset, bar, window.bar.size);
        return fail(Error::corrupt);
    }
    return *part;
}

}  // namespace

Result<Transport> Transport::find(pci::Device& pci) {
    const pci::Function& function = pci.function();
    Transport transport{function};
    pci::CapabilityWalk walk{function};
    while (const auto capability = walk.next()) {
        if (capability->id != pci::CapabilityId::vendor ||
            function.read(capability->reg<std::uint8_t>(PciCapability::length)) <
                PciCapability::minimum_length) {
            continue;
        }
        switch (Structure{function.read(capability->reg<std::uint8_t>(PciCapability::type))}) {
            case Structure::common:
                if (transport.common_.length() == 0) {
                    transport.common_ =
                        PV_TRY(structure_window(pci, *capability, CommonRegisters::minimum_length));
                    const std::uint8_t bar = function.read(capability->reg<std::uint8_t>(PciCapability::bar));
                    transport.registers_ = PV_TRY(pci.map_bar(bar)).bar;
                }
                break;
            case Structure::notify:
                if (transport.notify_.length() == 0) {
                    transport.notify_ = PV_TRY(structure_window(pci, *capability, sizeof(std::uint16_t)));
                    transport.notify_multiplier_ =
                        function.read(capability->reg<std::uint32_t>(PciCapability::notify_multiplier));
                }
                break;
            case Structure::device:
                if (transport.device_.length() == 0) {
                    // How much is needed is for who reads it to say.
                    transport.device_ = PV_TRY(structure_window(pci, *capability, 1));
                }
                break;
            default:
                break;
        }
    }
    if (transport.common_.length() == 0 || transport.notify_.length() == 0) {
        log::error("{}: no modern virtio structures{}", pci.name(),
                   walk.malformed() ? "; its capability list is malformed" : "");
        return fail(Error::not_supported);
    }
    return transport;
}

Result<> Transport::reset(Deadline deadline) const {
    if (!present()) {
        return fail(Error::device_failed);
    }
    common_.write(CommonRegisters::device_status, std::uint8_t{0});
    const std::uint8_t last =
        PV_TRY(mmio::poll(common_, CommonRegisters::device_status, deadline, [](std::uint8_t status) {
            return (status == 0 && !misbehave::happens(misbehave::DeviceFault::never_reset)) ||
                   status == DeviceStatus::gone;
        }));
    return last == 0 ? Result<>{} : fail(Error::device_failed);
}

Health Transport::health() const {
    const std::uint8_t now = status();
    // Registers that nobody answers for read as all ones on a bus, as zeros in some machines.
    if (now == DeviceStatus::gone || (now == 0 && !present())) {
        return Health::gone;
    }
    if ((now & (DeviceStatus::needs_reset | DeviceStatus::failed)) != 0) {
        return Health::needs_reset;
    }
    return (now & DeviceStatus::driver_ok) != 0 ? Health::good : Health::stopped;
}

void Transport::add_status(std::uint8_t bits) const {
    common_.write(CommonRegisters::device_status, static_cast<std::uint8_t>(status() | bits));
}

Result<std::uint64_t> Transport::negotiate(std::uint64_t wanted, std::uint64_t required) const {
    std::uint64_t offered = 0;
    for (std::uint32_t half = 0; half < 2; ++half) {
        common_.write(CommonRegisters::device_feature_select, half);
        offered |= static_cast<std::uint64_t>(common_.read(CommonRegisters::device_feature)) << 32 * half;
    }
    if ((offered & required) != required) {
        return fail(Error::not_supported);
    }
    const std::uint64_t chosen = offered & (wanted | required);
    for (std::uint32_t half = 0; half < 2; ++half) {
        common_.write(CommonRegisters::driver_feature_select, half);
        common_.write(CommonRegisters::driver_feature, static_cast<std::uint32_t>(chosen >> 32 * half));
    }
    add_status(DeviceStatus::features_ok);
    if ((status() & DeviceStatus::features_ok) == 0) {
        return fail(Error::not_supported);
    }
    return chosen;
}

std::uint16_t Transport::queue_size_limit(std::uint16_t index) const {
    if (index >= queue_count()) {
        return 0;
    }
    common_.write(CommonRegisters::queue_select, index);
    return common_.read(CommonRegisters::queue_size);
}

Result<Doorbell> Transport::enable_queue(std::uint16_t index, std::uint16_t size, const QueueAreas& areas,
                                         std::uint16_t vector) const {
    using Common = CommonRegisters;
    common_.write(Common::queue_select, index);
    common_.write(Common::queue_vector, vector);
    if (common_.read(Common::queue_vector) != vector) {
        return fail(Error::no_space);
    }
    const std::size_t place = std::size_t{common_.read(Common::queue_notify_offset)} * notify_multiplier_;
    const Doorbell doorbell{notify_, {place}};
    if (!notify_.contains(place, sizeof(std::uint16_t))) {
        return fail(Error::out_of_range);
    }
    common_.write(Common::queue_size, size);
    const auto write_address = [this](auto low, auto high, BusAddress address) {
        common_.write(low, static_cast<std::uint32_t>(address.value()));
        common_.write(high, static_cast<std::uint32_t>(address.value() >> 32));
    };
    write_address(Common::queue_descriptors_low, Common::queue_descriptors_high, areas.table);
    write_address(Common::queue_driver_low, Common::queue_driver_high, areas.driver);
    write_address(Common::queue_device_low, Common::queue_device_high, areas.device);
    common_.write(Common::queue_enable, std::uint16_t{1});
    if (common_.read(Common::queue_enable) != 1) {
        return fail(Error::device_failed);
    }
    return doorbell;
}

Result<> Transport::set_configuration_vector(std::uint16_t vector) const {
    common_.write(CommonRegisters::config_vector, vector);
    // Without resources for it the device answers "none" (4.1.5.1.2.1).
    return common_.read(CommonRegisters::config_vector) == vector ? Result<>{} : fail(Error::no_space);
}

}  // namespace pv::virtio
