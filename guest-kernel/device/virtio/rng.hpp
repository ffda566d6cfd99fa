// A virtio-rng device: a source of entropy for the kernel's pool.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "base/result.hpp"
#include "device/virtio/buffer_device.hpp"

namespace pv::virtio {

/// VIRTIO 1.2, section 5.4.
class Rng final : public BufferDevice {
  public:
    /// Takes the function, resets the device and makes its queue. On an error the device is quiet again, and
    /// the console says what went wrong. Threads only.
    [[nodiscard]] static Result<std::unique_ptr<Rng>> create(pci::Function function, unsigned number,
                                                             const Patience& patience = {});

    ~Rng() = default;

    /// Asks for `out.size()` bytes (1 to a page) and copies what comes; returns how many. What is in memory
    /// of them besides is wiped. A recovery that ends it has it asked again. Errors: timed_out,
    /// device_failed, io (it gave none, or more than there is room for), invalid_argument, as Mapping::map.
    [[nodiscard]] Result<std::size_t> read(std::span<std::byte> out, Deadline deadline);

    /// Reads until the pool has `bits` more of credit, 8 for each byte. Errors: as read.
    [[nodiscard]] Result<> feed(std::uint64_t bits, Deadline deadline);

  private:
    Rng(pci::Function function, unsigned number, const Patience& patience)
        : BufferDevice{function, "virtio-rng", number, patience} {}
};

}  // namespace pv::virtio
