// A virtio device whose queues carry commands: brought up, what its recovery does with it, put to rest again.
// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>

#include "base/atomic.hpp"
#include "base/result.hpp"
#include "base/status_lines.hpp"
#include "base/vector.hpp"
#include "device/pci/device.hpp"
#include "device/virtio/recovery.hpp"
#include "device/virtio/service_queue.hpp"
#include "device/virtio/transport.hpp"
#include "interrupt/vector.hpp"

namespace pv::virtio {

/// Base of the drivers of such devices. Of a driver's life, in this order: `find`, `agree`, `add_queue` for
/// each, `watch`, `add_vector` for each, `enter_service`; whatever failed, `shut_down`. Threads only.
class ServiceDevice : protected Recoverable {
  public:
    ServiceDevice(const ServiceDevice&) = delete;
    ServiceDevice& operator=(const ServiceDevice&) = delete;

    [[nodiscard]] std::string_view name() const override { return {name_.data(), name_length_}; }

    [[nodiscard]] marker::Device marker_device() const override { return pci_.function().address().marker(); }

    /// Counts of all queues.
    [[nodiscard]] block::CommandCounts counts();

    /// Says how its queues stand.
    void print_status(StatusLines& lines);

    /// As block::Controller's. Nobody uses the device any more. Once, before destruction.
    void shut_down(Deadline deadline);

    /// It was given up.
    [[nodiscard]] bool dead() const { return recovery_ != nullptr && recovery_->dead(); }

  protected:
    /// The device is `prefix` and `number`.
    ServiceDevice(pci::Function function, std::string_view prefix, unsigned number, const Patience& patience);
    ~ServiceDevice();

    /// Takes the function, and resets the device.
    [[nodiscard]] Result<> find(marker::DeviceKind kind);
    /// From a reset device to features agreed on; VERSION_1 is required.
    [[nodiscard]] Result<> agree(std::uint64_t wanted);
    /// The device does not know of it yet. On an error its memory is given back.
    [[nodiscard]] Result<> add_queue(std::unique_ptr<ServiceQueue> queue);
    /// Makes the recovery, which looks at nothing yet.
    [[nodiscard]] Result<> watch();
    /// The next entry of MSI-X; the first is the configuration's as well.
    [[nodiscard]] Result<> add_vector(Result<interrupt::Vector> vector);
    /// Puts the device in service.
    [[nodiscard]] Result<> enter_service();

    /// The largest power of two that queue `index` may have as its entries, `most` at most: what a split ring
    /// needs, and a packed one may have.
    [[nodiscard]] std::size_t entries_of(std::size_t index, std::size_t most) const;

    /// The MSI-X entry of a queue.
    [[nodiscard]] virtual std::uint16_t vector_of(std::size_t /*queue*/) const { return 0; }

    /// After a reset: whether the device is what it was. Errors say it is not, or cannot be asked.
    [[nodiscard]] virtual Result<> same_as_before() { return {}; }

    /// For one interrupt about everything, and for the configuration's. `device`: a ServiceDevice.
    static void raise_all(void* device);
    static void raise_configuration(void* device);

    [[nodiscard]] bool has(std::uint64_t feature) const { return (features_ & feature) != 0; }

    [[nodiscard]] std::uint64_t features() const { return features_; }

    [[nodiscard]] const Patience& patience() const override { return patience_; }

    [[nodiscard]] pci::Device& pci() { return pci_; }

    [[nodiscard]] Transport& transport() const { return *transport_; }

    [[nodiscard]] std::size_t queue_count() const { return queues_.size(); }

    [[nodiscard]] ServiceQueue& queue_at(std::size_t index) { return *queues_[index]; }

    [[nodiscard]] std::size_t vector_count() const { return vectors_.size(); }

    [[nodiscard]] Recovery& recovery() { return *recovery_; }

  private:
    [[nodiscard]] Result<> start_device();

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
    Vector<std::unique_ptr<ServiceQueue>> queues_;
    std::unique_ptr<Recovery> recovery_;
    Atomic<Recovery*> listener_{nullptr};  ///< recovery_, while the device is in service
    Vector<interrupt::Vector> vectors_;    ///< by MSI-X entry
    bool taken_ = false;
};

}  // namespace pv::virtio
