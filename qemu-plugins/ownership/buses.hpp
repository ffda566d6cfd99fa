// What a device's addresses mean: guest physical ones, or what markers say of them behind an IOMMU.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <span>

#include "plugin/guest_memory.hpp"

namespace pv::ownership {

/// Follows the markers device, dma_map and dma_unmap. Bounded: a guest may claim anything.
class Buses {
  public:
    static constexpr std::size_t most_devices = 64;
    static constexpr std::size_t most_mappings = 65'536;

    void marker(std::uint16_t number, std::span<const std::uint64_t, 6> args);

    /// An IOMMU translates from now on, or no longer.
    void set_iommu(bool on) { iommu_ = on; }

    void forget();

    /// Whether the PCI function `bdf` has registers at `address`, as its driver said.
    [[nodiscard]] bool is_at(std::uint64_t bdf, std::uint64_t address) const;

    /// Which device names memory: by its registers, and whether it goes around the IOMMU, as a virtio device
    /// does whose driver did not take VIRTIO_F_ACCESS_PLATFORM.
    struct Route {
        std::uint64_t registers = 0;
        bool around = false;
    };

    /// How it does.
    enum class Way : std::uint8_t {
        physical,  ///< by guest physical addresses
        mapped,    ///< by what markers said when it was mapped
        unknown,   ///< behind an IOMMU, and nobody says what is mapped
    };
    [[nodiscard]] Way way(const Route& route) const;

    /// Physical address of `bus`, and at most how many of `length` bytes follow it there; length 0 where
    /// nothing is known.
    struct Piece {
        std::uint64_t physical = 0;
        std::uint64_t length = 0;
    };

    [[nodiscard]] Piece resolve(const Route& route, std::uint64_t bus, std::uint64_t length) const;

  private:
    struct Mapping {
        std::uint64_t physical = 0;
        std::uint64_t length = 0;
    };

    struct Function {
        std::uint64_t registers = 0;
        std::uint64_t length = 0;
        bool is_translated = false;
        std::map<std::uint64_t, Mapping> mappings;  ///< by bus address; only where it is translated

        [[nodiscard]] bool holds(std::uint64_t address) const {
            return address >= registers && address - registers < length;
        }
    };

    [[nodiscard]] const Function* find(std::uint64_t registers) const;
    Function* function(std::uint64_t bdf);

    std::map<std::uint64_t, Function> functions_;  ///< by PCI address
    bool iommu_ = false;
};

/// Guest memory by the addresses of one device.
class BusMemory final : public plugin::MemoryReader {
  public:
    BusMemory(const plugin::GuestMemory& memory, const Buses& buses, const Buses::Route& route)
        : memory_(memory), buses_(buses), route_(route) {}

    [[nodiscard]] bool read(std::uint64_t bus, std::span<std::byte> target) const override;

    template <class T>
    [[nodiscard]] std::optional<T> value(std::uint64_t bus) const {
        T value{};
        return read(bus, std::as_writable_bytes(std::span{&value, 1})) ? std::optional(value) : std::nullopt;
    }

  private:
    const plugin::GuestMemory& memory_;
    const Buses& buses_;
    Buses::Route route_;
};

}  // namespace pv::ownership
