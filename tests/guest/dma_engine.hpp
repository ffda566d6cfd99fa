// QEMU's teaching device as a DMA engine that goes wherever it is told: what no driver of ours would do.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "base/result.hpp"
#include "device/mmio/window.hpp"
#include "device/pci/device.hpp"
#include "device/pci/scan.hpp"

namespace pv::guest_test {

/// `-device edu,dma_mask=...` (QEMU, docs/specs/edu): a buffer of 4 KiB in the device, copied from or to any
/// address of the bus. A copy begins 100 ms after it was asked for.
class DmaEngine {
  public:
    /// Errors: not_found (there is no such device among `functions`), as map_bar.
    [[nodiscard]] static Result<std::unique_ptr<DmaEngine>> find(std::span<const pci::Found> functions);

    [[nodiscard]] marker::Device device() const { return pci_.function().address().marker(); }

    /// The device reads `length` bytes (up to 4 KiB) at `address` into its buffer. Whether it succeeded is
    /// not said: the device does not know. Error: timed_out.
    [[nodiscard]] Result<> fetch(std::uint64_t address, std::size_t length) const;

    /// The device writes its buffer to `address`.
    [[nodiscard]] Result<> store(std::uint64_t address, std::size_t length) const;

  private:
    explicit DmaEngine(pci::Function function) : pci_{function, "edu"} {}

    [[nodiscard]] Result<> copy(std::uint64_t from, std::uint64_t to, std::size_t length,
                                std::uint64_t command) const;

    pci::Device pci_;
    mmio::Window registers_;
};

}  // namespace pv::guest_test
