// Configuration space in memory.
// SPDX-License-Identifier: MIT
#include "device/pci/ecam.hpp"

#include "base/log.hpp"
#include "memory/device_map.hpp"

namespace pv::pci {
namespace {

constexpr std::uint64_t bytes_per_bus = 1ULL << 20;
constexpr std::size_t bytes_per_function = 4096;

std::size_t place(Address address, std::size_t offset) {
    return static_cast<std::size_t>(address.device) << 15 | static_cast<std::size_t>(address.function) << 12 |
           offset;
}

constexpr std::uint32_t all_ones(unsigned width) {
    return width == 4 ? 0xffffffff : (1U << width * 8) - 1;
}

}  // namespace

const mmio::Window* EcamSpace::bus(std::uint8_t number) {
    if (!mapped_[number].load(std::memory_order_acquire)) {
        const PhysicalAddress base = range_.base + number * bytes_per_bus;
        const auto virtual_base = memory::map_device(base, bytes_per_bus);
        if (!virtual_base) {
            log::error("pci: configuration space of bus {} cannot be mapped: {}", number,
                       virtual_base.error());
            return nullptr;
        }
        // A second thread may have mapped it meanwhile: both mappings are good, the first one stays in use.
        task::SpinGuard guard{lock_};
        if (!mapped_[number].load(std::memory_order_relaxed)) {
            buses_[number] = mmio::Window{reinterpret_cast<volatile std::byte*>(virtual_base->value()),
                                          bytes_per_bus, base, "pci configuration space"};
            mapped_[number].store(true, std::memory_order_release);
        }
    }
    return &buses_[number];
}

std::uint32_t EcamSpace::read(Address address, std::size_t offset, unsigned width) {
    if (!covers(address) || offset > bytes_per_function - width) {
        return all_ones(width);
    }
    const mmio::Window* window = bus(address.bus);
    if (window == nullptr) {
        return all_ones(width);
    }
    switch (width) {
        case 1:
            return window->read(mmio::Register<std::uint8_t>{place(address, offset)});
        case 2:
            return window->read(mmio::Register<std::uint16_t>{place(address, offset)});
        default:
            return window->read(mmio::Register<std::uint32_t>{place(address, offset)});
    }
}

void EcamSpace::write(Address address, std::size_t offset, unsigned width, std::uint32_t value) {
    if (!covers(address) || offset > bytes_per_function - width) {
        return;
    }
    const mmio::Window* window = bus(address.bus);
    if (window == nullptr) {
        return;
    }
    switch (width) {
        case 1:
            window->write(mmio::Register<std::uint8_t>{place(address, offset)},
                          static_cast<std::uint8_t>(value));
            break;
        case 2:
            window->write(mmio::Register<std::uint16_t>{place(address, offset)},
                          static_cast<std::uint16_t>(value));
            break;
        default:
            window->write(mmio::Register<std::uint32_t>{place(address, offset)}, value);
            break;
    }
}

}  // namespace pv::pci
