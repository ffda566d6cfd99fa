// A virtio-blk device: brought up, its geometry, its requests, its recovery, and put to rest again.
// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>

#include "base/result.hpp"
#include "base/vector.hpp"
#include "block/controller.hpp"
#include "device/pci/device.hpp"
#include "device/virtio/block_queue.hpp"
#include "device/virtio/recovery.hpp"
#include "device/virtio/transport.hpp"
#include "interrupt/vector.hpp"

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
class Block final : public block::Controller, public block::Device, private Recoverable {
  public:
    /// Takes the function, resets the device and makes its queues. `number` gives its name, "virtio-blk0".
    /// Threads only. On an error the device is quiet again, and the console says what went wrong.
    [[nodiscard]] static Result<std::unique_ptr<block::Controller>> create(pci::Function function,
                                                                           unsigned number,
                                                                           const Patience& patience = {},
                                                                           const BlockOptions& options = {});

    ~Block() override;

    [[nodiscard]] std::string_view name() const override { return {name_.data(), name_length_}; }

    [[nodiscard]] std::size_t device_count() const override { return 1; }

    [[nodiscard]] block::Device& device(std::size_t) override { return *this; }

    void print_status() override;

    void shut_down(Deadline deadline) override;

    void look() override { recovery_->look(); }

    void leave(Duration patience) override { recovery_->leave(patience); }

    [[nodiscard]] bool dead() const override { return recovery_ != nullptr && recovery_->dead(); }

    [[nodiscard]] const block::Geometry& geometry() const override { return geometry_; }

    [[nodiscard]] block::CommandCounts counts() override;

    [[nodiscard]] marker::Device marker_device() const override { return pci_.function().address().marker(); }

    [[nodiscard]] marker::DeviceKind kind() const override { return marker::DeviceKind::virtio_blk; }

  private:
    Block(pci::Function function, unsigned number, const Patience& patience, const BlockOptions& options);

    // Set-up (block_setup.cpp).
    [[nodiscard]] Result<> bring_up();
    /// From a reset device to features agreed on.
    [[nodiscard]] Result<std::uint64_t> agree(std::uint64_t wanted);
    [[nodiscard]] Result<BlockConfiguration> read_configuration() const;
    [[nodiscard]] Result<> make_queues(const BlockConfiguration& configuration);
    [[nodiscard]] Result<> make_vectors();
    /// Tells the device of its queues, and that the driver is ready.
    [[nodiscard]] Result<> start_device();
    [[nodiscard]] std::uint16_t vector_of(std::size_t queue) const;

    // Requests.
    [[nodiscard]] Result<block::Ticket> start(const block::Work& work) override;
    [[nodiscard]] Result<> finish(block::Ticket ticket) override;
    // Recovery.
    [[nodiscard]] bool settle(Deadline deadline) override;

    [[nodiscard]] const Patience& patience() const override { return patience_; }

    [[nodiscard]] Health health() const override { return transport_->health(); }

    [[nodiscard]] bool lied() override;
    [[nodiscard]] std::optional<Instant> overdue_since() override;

    [[nodiscard]] std::uint64_t succeeded() override { return counts().succeeded; }

    void configuration_changed() override;
    void suspend() override;
    void resume() override;
    [[nodiscard]] Result<> reset(marker::ResetReason reason) override;
    void empty(Error error) override;
    [[nodiscard]] Result<> bring_back() override;
    void close(std::string_view why) override;
    [[nodiscard]] bool confined() const override;
    void cut_off() override;

    static void raise_queue(void* queue);
    static void raise_configuration(void* block);
    static void raise_all(void* block);

    std::array<char, 16> name_{};
    std::size_t name_length_ = 0;
    pci::Device pci_;
    Patience patience_;
    BlockOptions options_;
    std::unique_ptr<Transport> transport_;
    std::uint64_t features_ = 0;
    BlockConfiguration configuration_;
    block::Geometry geometry_;
    Vector<std::unique_ptr<BlockQueue>> queues_;
    std::unique_ptr<Recovery> recovery_;
    std::atomic<Recovery*> listener_{nullptr};  ///< recovery_, while the device is in service
    Vector<interrupt::Vector> vectors_;         ///< by MSI-X entry: the configuration's, then one a queue
    std::atomic<std::uint64_t> failures_{0};
    bool taken_ = false;
};

}  // namespace pv::virtio
