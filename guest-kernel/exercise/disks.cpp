// Every disk of this machine: functions found, drivers chosen, and all of it let go again.
// SPDX-License-Identifier: MIT
#include "exercise/disks.hpp"

#include "base/log.hpp"
#include "boot/options.hpp"
#include "device/iommu/machine.hpp"
#include "device/nvme/controller.hpp"
#include "device/pci/machine.hpp"
#include "device/pci/regs.hpp"
#include "device/virtio/block.hpp"
#include "device/virtio/spec.hpp"
#include "exercise/occupants.hpp"

namespace pv::exercise {
namespace {

bool is_nvme(const pci::Found& found) {
    return found.base_class == pci::Registers::class_mass_storage &&
           found.subclass == pci::Registers::subclass_nvme &&
           found.interface == pci::Registers::interface_nvme;
}

bool is_virtio_block(const pci::Found& found) {
    return virtio::device_type(found.vendor, found.device) == virtio::DeviceType::block;
}

}  // namespace

void Disks::find(FunctionRef<void(const pci::Found&)> others) {
    const auto functions = pci::find_functions();
    if (!functions) {
        log::error("pci: the bus cannot be scanned: {}", functions.error());
        ++failed_;
        return;
    }
    iommu::start(*functions);
    const bool in_memory = boot::option("nvme-doorbells") == "memory";
    const virtio::BlockOptions options{.packed = boot::option("virtio-ring") != "split",
                                       .event_index = boot::option("virtio-events") != "flags"};
    unsigned nvme = 0;
    unsigned virtio = 0;
    for (const pci::Found& found : *functions) {
        if (!is_nvme(found) && !is_virtio_block(found)) {
            others(found);
            continue;
        }
        const pci::Function function = pci::function_at(found.address);
        auto controller = is_nvme(found) ? nvme::Controller::create(function, nvme++, {}, in_memory)
                                         : virtio::Block::create(function, virtio++, {}, options);
        if (!controller || !addresses_.push_back(found.address) ||
            !controllers_.push_back(std::move(*controller))) {
            ++failed_;
        }
    }
}

Result<> Disks::occupy(pci::Slots& slots) {
    for (std::size_t i = 0; i < controllers_.size(); ++i) {
        PV_TRY(exercise::occupy(slots, *controllers_[i], addresses_[i]));
    }
    return {};
}

std::size_t Disks::count() const {
    std::size_t disks = 0;
    for (const auto& controller : controllers_) {
        disks += controller->device_count();
    }
    return disks;
}

void Disks::for_each(FunctionRef<void(block::Device&)> visit) {
    for (auto& controller : controllers_) {
        for (std::size_t i = 0; i < controller->device_count(); ++i) {
            visit(controller->device(i));
        }
    }
}

void Disks::print_status(StatusLines& lines) {
    for (auto& controller : controllers_) {
        controller->print_status(lines);
    }
}

void Disks::let_go(Duration patience) {
    for (auto& controller : controllers_) {
        controller->shut_down(Deadline::after(patience));
    }
    controllers_.clear();
    iommu::stop();
}

}  // namespace pv::exercise
