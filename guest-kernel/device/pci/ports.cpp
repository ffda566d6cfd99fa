// Configuration space through ports 0xcf8 and 0xcfc.
// SPDX-License-Identifier: MIT
#include "device/pci/ports.hpp"

namespace pv::pci {
namespace {

constexpr std::uint16_t address_port = 0xcf8;
constexpr std::uint16_t data_port = 0xcfc;
constexpr std::size_t reachable = 256;  // bytes of a function this mechanism can name

#if PV_HOSTED
void out_32(std::uint16_t, std::uint32_t) {}

void out(std::uint16_t, unsigned, std::uint32_t) {}

std::uint32_t in(std::uint16_t, unsigned width) {
    return width == 4 ? 0xffffffff : (1U << width * 8) - 1;
}
#else
void out_32(std::uint16_t port, std::uint32_t value) {
    __asm__ volatile("outl %0, %1" ::"a"(value), "Nd"(port) : "memory");
}

void out(std::uint16_t port, unsigned width, std::uint32_t value) {
    switch (width) {
        case 1:
            __asm__ volatile("outb %0, %1" ::"a"(static_cast<std::uint8_t>(value)), "Nd"(port) : "memory");
            break;
        case 2:
            __asm__ volatile("outw %0, %1" ::"a"(static_cast<std::uint16_t>(value)), "Nd"(port) : "memory");
            break;
        default:
            out_32(port, value);
            break;
    }
}

std::uint32_t in(std::uint16_t port, unsigned width) {
    if (width == 1) {
        std::uint8_t value = 0;
        __asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port) : "memory");
        return value;
    }
    if (width == 2) {
        std::uint16_t value = 0;
        __asm__ volatile("inw %1, %0" : "=a"(value) : "Nd"(port) : "memory");
        return value;
    }
    std::uint32_t value = 0;
    __asm__ volatile("inl %1, %0" : "=a"(value) : "Nd"(port) : "memory");
    return value;
}
#endif

std::uint32_t selector(Address address, std::size_t offset) {
    return 0x80000000U | static_cast<std::uint32_t>(address.bus) << 16 |
           static_cast<std::uint32_t>(address.device) << 11 |
           static_cast<std::uint32_t>(address.function) << 8 | static_cast<std::uint32_t>(offset & 0xfc);
}

std::uint16_t data_at(std::size_t offset) {
    return static_cast<std::uint16_t>(data_port + (offset & 3));
}

}  // namespace

std::uint32_t PortSpace::read(Address address, std::size_t offset, unsigned width) {
    if (address.segment != 0 || offset > reachable - width) {
        return width == 4 ? 0xffffffff : (1U << width * 8) - 1;
    }
    task::SpinGuard guard{lock_};
    out_32(address_port, selector(address, offset));
    return in(data_at(offset), width);
}

void PortSpace::write(Address address, std::size_t offset, unsigned width, std::uint32_t value) {
    if (address.segment != 0 || offset > reachable - width) {
        return;
    }
    task::SpinGuard guard{lock_};
    out_32(address_port, selector(address, offset));
    out(data_at(offset), width, value);
}

}  // namespace pv::pci
