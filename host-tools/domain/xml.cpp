// Writes the domain with pugixml.
// SPDX-License-Identifier: MIT
#include "domain/xml.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <pugixml.hpp>
#include <string_view>

#include "domain/xml_parts.hpp"

namespace pv::domain {
namespace {

using nlohmann::json;
using pugi::xml_node;

json storage_node(const Disk& disk, const std::string& node) {
    if (!disk.nbd.empty()) {
        return {{"driver", "nbd"},
                {"node-name", node},
                {"server", {{"type", "unix"}, {"path", absolute_text(disk.nbd)}}},
                {"export", ""}};
    }
    const std::filesystem::path& path = std::get<std::filesystem::path>(disk.backing);
    return {{"driver", std::filesystem::is_block_file(path) ? "host_device" : "file"},
            {"node-name", node},
            {"filename", absolute_text(path)},
            {"discard", "unmap"}};
}

// A port with a slot, for a device to be taken out of; its bus is called as it is.
void add_port(Arguments& arguments, const std::string& device, std::size_t slot) {
    const std::string id = device + "-port";
    arguments.add_pair("-device", json{{"driver", "pcie-root-port"},
                                       {"id", id},
                                       {"bus", "pcie.0"},
                                       {"addr", fmt::format("{:x}", slot)},
                                       {"chassis", slot},
                                       {"slot", slot}});
}

// NVMe disks, and those that libvirt is not to look after.
void add_disk(Arguments& arguments, const Disk& disk, std::size_t index, Iommu iommu) {
    const std::string id = fmt::format("disk{}", index);
    const bool nvme = disk.kind == DiskKind::nvme;
    json storage = storage_node(disk, id + "-storage");
    json format = {{"driver", "raw"}, {"node-name", id + "-format"}, {"file", id + "-storage"}};
    if (disk.read_only) {
        storage["read-only"] = format["read-only"] = true;
    }
    arguments.add_pair("-blockdev", storage);
    arguments.add_pair("-blockdev", format);
    if (disk.removable) {
        add_port(arguments, id, first_disk_slot + index);
    }
    json device{{"driver", nvme ? "nvme" : "virtio-blk-pci-non-transitional"},
                {"id", id},
                {"serial", id},
                {"drive", id + "-format"},
                {"bus", disk.removable ? id + "-port" : "pcie.0"},
                {"addr", fmt::format("{:x}", disk.removable ? 0 : first_disk_slot + index)},
                {"logical_block_size", disk.block_size},
                {"physical_block_size", disk.block_size}};
    if (!nvme) {
        device["werror"] = device["rerror"] = "report";
        device["packed"] = disk.packed;
        device["iommu_platform"] = iommu != Iommu::none;
    }
    arguments.add_pair("-device", device);
}

void add_pci_address(xml_node device, unsigned slot) {
    xml_node address = add(device, "address");
    set(address, "type", "pci");
    set(address, "domain", "0x0000");
    set(address, "bus", "0x00");
    set(address, "slot", fmt::format("{:#04x}", slot));
    set(address, "function", "0x0");
}

bool of_arguments(const Disk& disk) {
    return disk.kind == DiskKind::nvme || disk.removable;
}

// The NVMe controllers need nothing: whatever sits on the bus is behind the unit.
void add_iommu(xml_node devices, Iommu iommu) {
    if (iommu == Iommu::none) {
        return;
    }
    xml_node node = add(devices, "iommu");
    set(node, "model", std::string(name(iommu)));
    if (iommu == Iommu::intel) {
        set(add(node, "driver"), "intremap", "on");
    } else {
        add_pci_address(node, iommu_slot);
    }
}

void add_virtio_blk(xml_node devices, const Disk& disk, std::size_t index, Iommu iommu) {
    const std::string id = fmt::format("disk{}", index);
    xml_node node = add(devices, "disk");
    const auto* path = std::get_if<std::filesystem::path>(&disk.backing);
    const bool network = !disk.nbd.empty();
    const bool block = !network && path != nullptr && std::filesystem::is_block_file(*path);
    set(node, "type", network ? "network" : block ? "block" : "file");
    set(node, "device", "disk");
    set(node, "model", "virtio-non-transitional");
    xml_node driver = add(node, "driver");
    set(driver, "name", "qemu");
    set(driver, "type", "raw");
    // The default stops the guest when the host's disk is full, and a stopped guest never ends.
    set(driver, "error_policy", "report");
    set(driver, "discard", "unmap");
    if (disk.packed) {
        set(driver, "packed", "on");
    }
    if (iommu != Iommu::none) {
        set(driver, "iommu", "on");
    }
    xml_node source = add(node, "source");
    if (network) {
        set(source, "protocol", "nbd");
        xml_node host = add(source, "host");
        set(host, "transport", "unix");
        set(host, "socket", absolute_text(disk.nbd));
    } else {
        set(source, block ? "dev" : "file", absolute_text(*path));
    }
    xml_node target = add(node, "target");
    set(target, "dev", fmt::format("vd{}", static_cast<char>('a' + index)));
    set(target, "bus", "virtio");
    if (disk.block_size != 512) {
        xml_node sizes = add(node, "blockio");
        set(sizes, "logical_block_size", fmt::format("{}", disk.block_size));
        set(sizes, "physical_block_size", fmt::format("{}", disk.block_size));
    }
    if (disk.read_only) {
        add(node, "readonly");
    }
    add_text(node, "serial", id);
    set(add(node, "alias"), "name", "ua-" + id);
    add_pci_address(node, first_disk_slot + static_cast<unsigned>(index));
}

// libvirt takes one label a model, each with its model's name.
void add_security(xml_node domain, const Wiring& wiring) {
    if (!wiring.run_as.has_value()) {
        return;
    }
    for (const std::string& model : wiring.security_models) {
        xml_node label = add(domain, "seclabel");
        set(label, "type", model == "dac" ? "static" : "none");
        set(label, "model", model);
        if (model == "dac") {
            set(label, "relabel", "no");
            add_text(label, "label", fmt::format("+{}:+{}", wiring.run_as->first, wiring.run_as->second));
        }
    }
}

void add_boot(xml_node domain, const GuestSpec& guest) {
    xml_node os = add(domain, "os");
    xml_node type = add_text(os, "type", "hvm");
    set(type, "arch", "x86_64");
    set(type, "machine", "q35");
    add_text(os, "kernel", absolute_text(guest.kernel));
    if (!guest.initrd.empty()) {
        add_text(os, "initrd", absolute_text(guest.initrd));
    }
    if (!guest.command_line.empty()) {
        add_text(os, "cmdline", guest.command_line);
    }
}

Result<> refuse_unwritable(const GuestSpec& guest, const Wiring& wiring) {
    std::vector<std::string> texts = {guest.name, guest.kernel.string(), guest.initrd.string(),
                                      guest.command_line};
    for (const Disk& disk : guest.disks) {
        texts.push_back(disk.nbd.string());
        if (const auto* path = std::get_if<std::filesystem::path>(&disk.backing)) {
            texts.push_back(path->string());
        } else if (disk.nbd.empty()) {
            return fail(ExitStatus::usage, "a disk of the domain has no image yet",
                        "make an image of its size first");
        }
    }
    for (const Network& network : guest.networks) {
        texts.push_back(network.socket.string());
    }
    return refuse_unwritable(texts, wiring);
}

}  // namespace

Result<std::string> domain_xml(const GuestSpec& guest, const Wiring& wiring) {
    PV_TRY(refuse_unwritable(guest, wiring));
    pugi::xml_document document;
    xml_node domain = add(document, "domain");
    const bool kvm = guest.accelerator == Accelerator::kvm;
    set(domain, "type", kvm ? "kvm" : "qemu");
    set(domain, "xmlns:qemu", qemu_namespace);
    add_text(domain, "name", guest.name);
    set(add_text(domain, "memory", fmt::format("{}", guest.memory)), "unit", "bytes");
    add_memory_backing(domain);
    add_text(domain, "vcpu", fmt::format("{}", guest.cpus));
    add_boot(domain, guest);
    xml_node features = add(domain, "features");
    add(features, "acpi");
    add(features, "apic");
    if (guest.iommu == Iommu::intel) {
        // Interrupts that the unit remaps go through an I/O APIC in QEMU, not one in KVM.
        set(add(features, "ioapic"), "driver", "qemu");
    }
    set(add(domain, "cpu"), "mode", kvm ? "host-passthrough" : "maximum");
    set(add(domain, "clock"), "offset", "utc");
    end_on_events(domain);
    xml_node devices = add(domain, "devices");
    if (!wiring.emulator.empty()) {
        add_text(devices, "emulator", absolute_text(wiring.emulator));
    }
    for (std::size_t i = 0; i < guest.disks.size(); ++i) {
        if (!of_arguments(guest.disks[i])) {
            add_virtio_blk(devices, guest.disks[i], i, guest.iommu);
        }
    }
    xml_node usb = add(devices, "controller");
    set(usb, "type", "usb");
    set(usb, "model", "none");
    add_serial(devices, wiring.console);
    set(add(devices, "memballoon"), "model", "none");
    // By which a guest can say that it panicked, and ends instead of waiting for its time-out.
    set(add(devices, "panic"), "model", "isa");
    add_iommu(devices, guest.iommu);
    add_security(domain, wiring);
    Arguments arguments(domain);
    add_watching(arguments, wiring);
    if (std::ranges::any_of(guest.disks, &Disk::removable) ||
        std::ranges::any_of(guest.networks, &Network::removable)) {
        // Slots are the guest's to serve by the ports' own registers, as on real machines, and not ACPI's.
        arguments.add_pair("-global", std::string("ICH9-LPC.acpi-pci-hotplug-with-bridge-support=off"));
    }
    for (std::size_t i = 0; i < guest.disks.size(); ++i) {
        if (of_arguments(guest.disks[i])) {
            add_disk(arguments, guest.disks[i], i, guest.iommu);
        }
    }
    for (std::size_t i = 0; i < guest.networks.size(); ++i) {
        const NetworkArguments network = network_arguments(guest.networks[i], i, guest.iommu != Iommu::none);
        arguments.add_pair("-netdev", network.netdev);
        if (guest.networks[i].removable) {
            add_port(arguments, fmt::format("net{}", i), first_network_slot + i);
        }
        arguments.add_pair("-device", network.device);
    }
    return to_text(document);
}

}  // namespace pv::domain
