// What the small virtio devices have in common: queues of single buffers, one interrupt, and the recovery.
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
#include "device/pci/device.hpp"
#include "device/virtio/buffer_queue.hpp"
#include "device/virtio/recovery.hpp"
#include "device/virtio/transport.hpp"
#include "interrupt/vector.hpp"

namespace pv::virtio {

/// Base of drivers of devices whose requests are single buffers. Features: VERSION_1 is required, event
/// indexes and ACCESS_PLATFORM are taken where offered. Threads only.
class BufferDevice : private Recoverable {
  public:
    BufferDevice(const BufferDevice&) = delete;
    BufferDevice& operator=(const BufferDevice&) = delete;

    [[nodiscard]] std::string_view name() const override { return {name_.data(), name_length_}; }

    [[nodiscard]] marker::Device marker_device() const override { return pci_.function().address().marker(); }

    /// Counts of all queues.
    [[nodiscard]] block::CommandCounts counts();

    /// Says on the console how its queues stand.
    void print_status();

    /// As block::Controller's. Nobody uses the device any more. Once, before destruction.
    void shut_down(Deadline deadline);

  protected:
    /// The device is `prefix` and `number`.
    BufferDevice(pci::Function function, std::string_view prefix, unsigned number, const Patience& patience);
    ~BufferDevice();

    /// Takes the function, resets the device and makes its first `queues` queues. On an error, shut_down
    /// makes it quiet again.
    [[nodiscard]] Result<> bring_up(marker::DeviceKind kind, std::uint16_t queues);

    [[nodiscard]] BufferQueue& queue(std::size_t index) { return *queues_[index]; }

    [[nodiscard]] bool dead() const { return recovery_ == nullptr || recovery_->dead(); }

  private:
    [[nodiscard]] Result<std::uint64_t> agree(std::uint64_t wanted);
    [[nodiscard]] Result<> start_device();
    static void raise(void* device);

    [[nodiscard]] const Patience& patience() const override { return patience_; }

    [[nodiscard]] Health health() const override { return transport_->health(); }

    [[nodiscard]] bool lied() override;
    [[nodiscard]] std::optional<Instant> overdue_since() override;

    [[nodiscard]] std::uint64_t succeeded() override { return counts().succeeded; }

    void configuration_changed() override {}

    void suspend() override;
    void resume() override;
    [[nodiscard]] Result<> reset(marker::ResetReason reason) override;
    void empty(Error error) override;
    [[nodiscard]] bool settle(Deadline deadline) override;
    [[nodiscard]] Result<> bring_back() override;
    void close(std::string_view why) override;
    [[nodiscard]] bool confined() const override;
    void cut_off() override;

    std::array<char, 24> name_{};
    std::size_t name_length_ = 0;
    pci::Device pci_;
    Patience patience_;
    std::unique_ptr<Transport> transport_;
    std::uint64_t features_ = 0;
    Vector<std::unique_ptr<BufferQueue>> queues_;
    std::unique_ptr<Recovery> recovery_;
    std::atomic<Recovery*> listener_{nullptr};  ///< recovery_, while the device is in service
    interrupt::Vector vector_;
    bool taken_ = false;
};

}  // namespace pv::virtio
