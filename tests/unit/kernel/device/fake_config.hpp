// A function's configuration space in an array, with base address registers that answer sizing.
// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <cstdint>
#include <cstring>
#include <map>
#include <utility>
#include <vector>

#include "device/pci/config.hpp"

namespace pv::pci {

class FakeConfig final : public ConfigSpace {
  public:
    ~FakeConfig() = default;

    std::uint32_t read(Address address, std::size_t offset, unsigned width) override {
        if (only && address != *only) {
            return width == 4 ? 0xffffffff : (1U << width * 8) - 1;
        }
        if (offset + width > bytes.size()) {
            return 0xffffffff;
        }
        std::uint32_t value = 0;
        std::memcpy(&value, bytes.data() + offset, width);
        return value;
    }

    void write(Address, std::size_t offset, unsigned width, std::uint32_t value) override {
        if (offset + width > bytes.size()) {
            return;
        }
        if (const auto bar = bars.find(offset); bar != bars.end()) {
            decoding_while_sizing |= value == 0xffffffff && (bytes[4] & 2) != 0;
            value = (value & bar->second.first) | bar->second.second;
        }
        std::memcpy(bytes.data() + offset, &value, width);
    }

    void put8(std::size_t offset, std::uint8_t value) { bytes[offset] = value; }

    void put16(std::size_t offset, std::uint16_t value) { std::memcpy(bytes.data() + offset, &value, 2); }

    void put32(std::size_t offset, std::uint32_t value) { std::memcpy(bytes.data() + offset, &value, 4); }

    /// Offset and id of each, linked in this order.
    void set_capabilities(const std::vector<std::pair<std::uint8_t, std::uint8_t>>& list) {
        put16(0x06, 0x10);
        std::size_t link = 0x34;
        for (const auto& [offset, id] : list) {
            put8(link, offset);
            put8(offset, id);
            link = offset + std::size_t{1};
        }
        put8(link, 0);
    }

    /// A BAR register whose bits in `mask` can be written and whose other bits read as `fixed`.
    void set_bar(std::size_t index, std::uint32_t mask, std::uint32_t fixed, std::uint32_t value) {
        bars[0x10 + 4 * index] = {mask, fixed};
        put32(0x10 + 4 * index, (value & mask) | fixed);
    }

    std::array<std::uint8_t, 256> bytes{};
    std::map<std::size_t, std::pair<std::uint32_t, std::uint32_t>> bars;
    const Address* only = nullptr;
    bool decoding_while_sizing = false;
};

}  // namespace pv::pci
