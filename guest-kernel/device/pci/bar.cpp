// Base address registers: where a function's registers lie, and how many bytes of them there are.
// SPDX-License-Identifier: MIT
#include "device/pci/bar.hpp"

#include "device/pci/regs.hpp"

namespace pv::pci {
namespace {

constexpr std::uint32_t io_space = 1U << 0;
constexpr std::uint32_t type_mask = 3U << 1;
constexpr std::uint32_t type_64 = 2U << 1;
constexpr std::uint32_t prefetchable = 1U << 3;
constexpr std::uint32_t flags_mask = 0xf;
constexpr std::uint64_t highest_address = 1ULL << 52;  // what x86-64 page tables can name

std::uint32_t exchange(const Function& function, mmio::Register<std::uint32_t> reg, std::uint32_t value) {
    function.write(reg, value);
    return function.read(reg);
}

}  // namespace

Result<Bar> probe_bar(const Function& function, unsigned index, std::span<const PhysicalRange> occupied) {
    if (index >= bar_count) {
        return fail(Error::invalid_argument);
    }
    const auto low = Registers::base_addresses.at(index);
    const std::uint32_t old_low = function.read(low);
    if ((old_low & io_space) != 0) {
        return fail(Error::not_found);
    }
    const bool wide = (old_low & type_mask) == type_64;
    if (wide && index + 1 >= bar_count) {
        return fail(Error::corrupt);
    }
    const auto high = Registers::base_addresses.at(wide ? index + 1 : index);
    const std::uint32_t old_high = wide ? function.read(high) : 0;

    const std::uint16_t command = function.read(Registers::command);
    function.write(Registers::command, static_cast<std::uint16_t>(
                                           command & ~(Registers::command_memory | Registers::command_io)));
    const std::uint32_t mask_low = exchange(function, low, 0xffffffff) & ~flags_mask;
    const std::uint32_t mask_high = wide ? exchange(function, high, 0xffffffff) : 0xffffffff;
    function.write(low, old_low);
    if (wide) {
        function.write(high, old_high);
    }
    function.write(Registers::command, command);

    if (mask_low == 0 && (!wide || mask_high == 0)) {
        return fail(Error::not_found);
    }
    const std::uint64_t mask = static_cast<std::uint64_t>(mask_high) << 32 | mask_low;
    const std::uint64_t size = ~mask + 1;
    const std::uint64_t address = static_cast<std::uint64_t>(old_high) << 32 | (old_low & ~flags_mask);
    if (size == 0 || (size & (size - 1)) != 0 || address == 0 || address % size != 0 ||
        size > highest_address || address > highest_address - size) {
        return fail(Error::corrupt);
    }
    for (const PhysicalRange& range : occupied) {
        if (address < range.start + range.length && range.start < address + size) {
            return fail(Error::corrupt);
        }
    }
    return Bar{PhysicalAddress{address}, size, (old_low & prefetchable) != 0};
}

}  // namespace pv::pci
