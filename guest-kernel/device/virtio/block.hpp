// A virtio-blk device: brought up, its geometry, its requests, its recovery, and put to rest again.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>

#include "base/atomic.hpp"
#include "base/result.hpp"
#include "block/controller.hpp"
#include "device/virtio/block_queue.hpp"
#include "device/virtio/service_device.hpp"

namespace pv::virtio {

/// What a device's configuration says, before it is believed.
struct BlockConfiguration {
    std::uint64_t capacity = 0;  ///< in sectors of 512 bytes
    std::uint32_t size_max = 0;
    std::uint32_t seg_max = 0;
    std::uint32_t block_size = 0;
    std::uint32_t discard_sectors = 0;       ///< of one request; 0: none
    std::uint32_t write_zeroes_sectors = 0;  ///< of one request; 0: none
    std::uint16_t queues = 1;

    bool operator==(const BlockConfiguration&) const = default;
};

/// Geometry from the configuration and the features agreed on. Errors: corrupt (a block size that is no power
/// of two, below 512 or above 64 KiB, or larger than a request), not_found (capacity 0).
[[nodiscard]] Result<block::Geometry> geometry_of(const BlockConfiguration& configuration,
                                                  std::uint64_t features, std::size_t transfer);

/// What the command line may say about virtio-blk.
struct BlockOptions {
    bool packed = true;       ///< a packed ring, where it is offered
    bool event_index = true;  ///< events with indexes, where they are offered
};

/// Controller and its one disk. Features: VERSION_1 is required; multi-queue, packed rings, event indexes,
/// indirect descriptors, FLUSH, DISCARD, WRITE_ZEROES, RO, BLK_SIZE, SIZE_MAX, SEG_MAX and ACCESS_PLATFORM
/// are taken where offered (addresses are what dma::Mapping says, so the last costs nothing).
class Block final : public block::Controller, public block::Device, private ServiceDevice {
  public:
    /// Takes the function, resets the device and makes its queues. `number` gives its name, "virtio-blk0".
    /// Threads only. On an error the device is quiet again, and the console says what went wrong.
    [[nodiscard]] static Result<std::unique_ptr<block::Controller>> create(pci::Function function,
                                                                           unsigned number,
                                                                           const Patience& patience = {},
                                                                           const BlockOptions& options = {});

    ~Block() override;

    [[nodiscard]] std::string_view name() const override { return ServiceDevice::name(); }

    [[nodiscard]] std::size_t device_count() const override { return 1; }

    [[nodiscard]] block::Device& device(std::size_t) override { return *this; }

    void print_status(StatusLines& lines) override { ServiceDevice::print_status(lines); }

    void shut_down(Deadline deadline) override { ServiceDevice::shut_down(deadline); }

    void look() override { recovery().look(); }

    void leave(Duration patience) override { recovery().leave(patience); }

    [[nodiscard]] bool dead() const override { return ServiceDevice::dead(); }

    [[nodiscard]] const block::Geometry& geometry() const override { return geometry_; }

    [[nodiscard]] block::CommandCounts counts() override { return ServiceDevice::counts(); }

    [[nodiscard]] marker::Device marker_device() const override { return ServiceDevice::marker_device(); }

    [[nodiscard]] marker::DeviceKind kind() const override { return marker::DeviceKind::virtio_blk; }

  private:
    Block(pci::Function function, unsigned number, const Patience& patience, const BlockOptions& options);

    // Set-up (block_setup.cpp).
    [[nodiscard]] Result<> bring_up();
    [[nodiscard]] Result<BlockConfiguration> read_configuration() const;
    [[nodiscard]] Result<> make_queues(const BlockConfiguration& configuration);
    [[nodiscard]] Result<> make_vectors();
    [[nodiscard]] std::uint16_t vector_of(std::size_t queue) const override;
    [[nodiscard]] Result<> same_as_before() override;

    // Requests.
    [[nodiscard]] Result<block::Ticket> start(const block::Work& work) override;
    [[nodiscard]] Result<> finish(block::Ticket ticket) override;

    [[nodiscard]] bool has_ended(block::Ticket ticket) override {
        return queue(ticket.queue).has_ended(ticket.id);
    }

    void configuration_changed() override;

    static void raise_queue(void* queue);

    [[nodiscard]] BlockQueue& queue(std::size_t index) { return static_cast<BlockQueue&>(queue_at(index)); }

    BlockOptions options_;
    BlockConfiguration configuration_;
    block::Geometry geometry_;
    Atomic<std::uint64_t> failures_{0};
};

}  // namespace pv::virtio
