// A function in a driver's hands: its registers, its interrupts, and whether it may master the bus.
// SPDX-License-Identifier: MIT
#include "device/pci/device.hpp"

#include "base/log.hpp"
#include "device/iommu/registry.hpp"
#include "device/pci/capability.hpp"
#include "device/pci/regs.hpp"
#include "device/pci/windows.hpp"
#include "memory/device_map.hpp"

namespace pv::pci {
namespace {

constexpr std::uint32_t bar_mask = 7;

}  // namespace

Device::Device(Function function, std::string_view name, bool masters)
    : function_{function}, name_{name}, masters_{masters} {
    const std::uint16_t master = Registers::command_bus_master;
    const std::uint16_t on = Registers::command_memory | Registers::command_no_intx;
    command(static_cast<std::uint16_t>(masters ? on | master : on), masters ? 0 : master);
}

Device::~Device() {
    disable_msix();
    if (!masters_) {
        set_bus_mastering(false);
    }
}

bool Device::present() const {
    return function_.read(Registers::vendor) != Registers::no_device;
}

void Device::command(std::uint16_t set, std::uint16_t clear) const {
    const std::uint16_t old = function_.read(Registers::command);
    function_.write(Registers::command, static_cast<std::uint16_t>((old & ~clear) | set));
}

void Device::set_bus_mastering(bool on) const {
    command(on ? Registers::command_bus_master : 0, on ? 0 : Registers::command_bus_master);
}

Result<BarWindow> Device::map_bar(unsigned index) {
    if (index < bar_count && bars_[index].window.length() != 0) {
        return bars_[index];
    }
    // Overlap with RAM is map_device's to refuse: it knows the memory map.
    const Bar bar = PV_TRY(probe_bar(function_, index, {}));
    if (!is_led_to(function_, bar)) {
        log::warning("{}: BAR {} at {} is not what the bridges above lead on to", name_, index, bar.address);
        return fail(Error::corrupt);
    }
    const VirtualAddress base = PV_TRY(memory::map_device(bar.address, bar.size));
    bars_[index] = {
        bar, mmio::Window{reinterpret_cast<volatile std::byte*>(base.value()), bar.size, bar.address, name_}};
    return bars_[index];
}

Result<> Device::enable_msix() {
    const auto capability = find_capability(function_, CapabilityId::msix);
    if (!capability) {
        return fail(Error::not_supported);
    }
    const auto control = capability->reg<std::uint16_t>(MsixRegisters::control);
    const auto place = function_.read(capability->reg<std::uint32_t>(MsixRegisters::table));
    const std::size_t entries = (function_.read(control) & MsixRegisters::control_size_mask) + std::size_t{1};
    const BarWindow bar = PV_TRY(map_bar(place & bar_mask));
    const auto table =
        bar.window.part(place & ~bar_mask, entries * MsixRegisters::entry_bytes, "MSI-X table");
    if (!table) {
        log::error("{}: MSI-X table of {} entries at {:#x} does not fit BAR {} of {:#x} bytes", name_,
                   entries, place & ~bar_mask, place & bar_mask, bar.bar.size);
        return fail(Error::corrupt);
    }
    table_ = *table;
    vectors_ = entries;
    msix_ = capability->offset;
    function_.write(control,
                    static_cast<std::uint16_t>(function_.read(control) | MsixRegisters::control_enable |
                                               MsixRegisters::control_mask_all));
    for (std::size_t i = 0; i < vectors_; ++i) {
        mask_vector(i);
    }
    function_.write(control,
                    static_cast<std::uint16_t>(function_.read(control) & ~MsixRegisters::control_mask_all));
    return {};
}

Result<> Device::set_vector(std::size_t index, const interrupt::Message& message) {
    if (vectors_ == 0) {
        return fail(Error::not_supported);
    }
    if (index >= vectors_) {
        return fail(Error::out_of_range);
    }
    const interrupt::Message sent = PV_TRY(iommu::remap(function_.address().marker(), index, message));
    table_.write(MsixRegisters::address_low.at(index), static_cast<std::uint32_t>(sent.address));
    table_.write(MsixRegisters::address_high.at(index), static_cast<std::uint32_t>(sent.address >> 32));
    table_.write(MsixRegisters::data.at(index), sent.data);
    table_.write(MsixRegisters::vector_control.at(index),
                 table_.read(MsixRegisters::vector_control.at(index)) & ~MsixRegisters::vector_masked);
    return {};
}

void Device::mask_vector(std::size_t index) {
    if (index < vectors_ && present()) {
        const auto control = MsixRegisters::vector_control.at(index);
        table_.write(control, table_.read(control) | MsixRegisters::vector_masked);
        // A read back: the write reached the device before whoever owns the vector lets go of it.
        (void)table_.read(control);
    }
}

void Device::disable_msix() {
    if (vectors_ != 0) {
        const mmio::Register<std::uint16_t> control{msix_ + MsixRegisters::control};
        function_.write(control,
                        static_cast<std::uint16_t>(function_.read(control) & ~MsixRegisters::control_enable));
        vectors_ = 0;
        iommu::forget_interrupts(function_.address().marker());
    }
}

}  // namespace pv::pci
