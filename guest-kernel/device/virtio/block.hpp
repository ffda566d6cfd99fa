// A virtio-blk device: brought up, its geometry, its requests, and put to rest again.
// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <string_view>

#include "base/result.hpp"
#include "block/controller.hpp"
#include "device/pci/device.hpp"
#include "device/virtio/block_queue.hpp"
#include "device/virtio/transport.hpp"
#include "interrupt/vector.hpp"

namespace pv::virtio {

/// What a device's configuration says, before it is believed.
struct BlockConfiguration {
    std::uint64_t capacity = 0;  ///< in sectors of 512 bytes
    std::uint32_t size_max = 0;
    std::uint32_t seg_max = 0;
    std::uint32_t block_size = 0;
};

/// Geometry from the configuration and the features agreed on. Errors: corrupt (a block size that is no power
/// of two, below 512 or above 64 KiB, or larger than a request), not_found (capacity 0).
[[nodiscard]] Result<block::Geometry> geometry_of(const BlockConfiguration& configuration,
                                                  std::uint64_t features, std::size_t transfer);

/// Controller and its one disk. Features: VERSION_1 is required; indirect descriptors, FLUSH, RO, BLK_SIZE,
/// SIZE_MAX, SEG_MAX and ACCESS_PLATFORM are taken where offered (addresses are what dma::Mapping says, so
/// the last costs nothing).
class Block final : public block::Controller, public block::Device {
  public:
    /// Takes the function, resets the device and makes its queue. `number` gives its name, "vda", "vdb" ...
    /// Threads only. On an error the device is quiet again, and the console says what went wrong.
    [[nodiscard]] static Result<std::unique_ptr<block::Controller>> create(pci::Function function,
                                                                           unsigned number);

    ~Block() override;

    [[nodiscard]] std::string_view name() const override { return {name_.data(), name_length_}; }

    [[nodiscard]] std::size_t device_count() const override { return 1; }

    [[nodiscard]] block::Device& device(std::size_t) override { return *this; }

    void print_status() override { queue_->print_status(); }

    void shut_down(Deadline deadline) override;

    [[nodiscard]] const block::Geometry& geometry() const override { return geometry_; }

    [[nodiscard]] block::CommandCounts counts() override { return queue_->counts(); }

    [[nodiscard]] marker::Device marker_device() const override { return pci_.function().address().marker(); }

    [[nodiscard]] marker::DeviceKind kind() const override { return marker::DeviceKind::virtio_blk; }

  private:
    Block(pci::Function function, unsigned number);

    [[nodiscard]] Result<> bring_up();
    [[nodiscard]] Result<> reset(marker::ResetReason reason);
    [[nodiscard]] Result<BlockConfiguration> read_configuration() const;

    [[nodiscard]] Result<block::Ticket> start(const block::Work& work) override;
    [[nodiscard]] Result<> finish(block::Ticket ticket) override;

    std::array<char, 16> name_{};
    std::size_t name_length_ = 0;
    pci::Device pci_;
    std::unique_ptr<Transport> transport_;
    block::Geometry geometry_;
    std::unique_ptr<BlockQueue> queue_;
    interrupt::Vector vector_;
    std::atomic<std::uint64_t> failures_{0};
    bool taken_ = false;
};

}  // namespace pv::virtio
