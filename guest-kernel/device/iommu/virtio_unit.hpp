// A virtio-iommu: domains by request, faults by event.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "acpi/tables.hpp"
#include "base/atomic.hpp"
#include "base/result.hpp"
#include "device/dma/buffer.hpp"
#include "device/iommu/unit.hpp"
#include "device/iommu/virtio_requests.hpp"
#include "device/iommu/virtio_spec.hpp"
#include "device/pci/device.hpp"
#include "device/virtio/split_ring.hpp"
#include "device/virtio/transport.hpp"
#include "interrupt/vector.hpp"
#include "task/lock.hpp"
#include "task/thread.hpp"

namespace pv::iommu {

/// VIRTIO 1.2, 5.13. The unit itself works on physical addresses.
class VirtioUnit final : public Unit {
  public:
    /// Takes the device. `ranges` (living for good): which endpoint a PCI function is to it. Threads only.
    /// Errors: not_supported (no map and unmap, no 4 KiB pages), as Transport::find and negotiate.
    [[nodiscard]] static Result<std::unique_ptr<VirtioUnit>> create(
        pci::Function function, const Vector<acpi::TranslatedRange>& ranges);

    ~VirtioUnit() override;

    [[nodiscard]] std::string_view kind() const override { return "virtio-iommu"; }

    [[nodiscard]] Result<std::unique_ptr<Domain>> attach(marker::Device device) override;
    [[nodiscard]] Result<> enable() override;
    void disable() override;

    /// Interrupts are not remapped.
    [[nodiscard]] Result<interrupt::Message> remap(marker::Device, std::size_t,
                                                   const interrupt::Message& message) override {
        return message;
    }

    void forget_interrupts(marker::Device) override {}

    /// Reports every fault the unit told. The handler of its interrupt.
    void take_faults();

    // For its domains.
    [[nodiscard]] Result<> map(std::uint32_t domain, std::uint64_t iova, PhysicalAddress physical,
                               std::size_t pages, marker::Direction direction);
    [[nodiscard]] Result<> unmap(std::uint32_t domain, std::uint64_t iova, std::size_t pages);
    [[nodiscard]] Result<> detach(std::uint32_t domain, marker::Device device);

  private:
    VirtioUnit(pci::Function function, const Vector<acpi::TranslatedRange>& ranges);

    [[nodiscard]] Result<> bring_up();
    [[nodiscard]] Result<> read_configuration();
    [[nodiscard]] Result<> start_events();
    /// How the unit says that there are events: by interrupt, or, where it has none to give (QEMU's has not),
    /// by being looked at. Returns the queue's vector.
    [[nodiscard]] Result<std::uint16_t> start_watching();
    static void watch(void* unit);
    void stop_watching();
    void ring_events(std::uint16_t available) const;
    [[nodiscard]] Result<AddressRange> addresses_of(std::uint32_t endpoint);
    [[nodiscard]] Result<std::uint32_t> endpoint_of(marker::Device device) const;
    [[nodiscard]] marker::Device device_of(std::uint32_t endpoint) const;

    [[nodiscard]] marker::Device self() const { return pci_.function().address().marker(); }

    void set_bypass(bool on) const;

    static constexpr std::size_t event_entries = 16;

    pci::Device pci_;
    const Vector<acpi::TranslatedRange>& ranges_;
    std::unique_ptr<virtio::Transport> transport_;
    std::unique_ptr<VirtioRequests> requests_;
    dma::Buffer event_rings_;
    dma::Buffer events_;
    virtio::Doorbell event_doorbell_;

    struct Events {
        std::optional<virtio::SplitRing> ring;
    };

    task::Guarded<Events, task::Rank::queue> event_ring_;
    interrupt::Vector vector_;
    task::Thread watcher_;
    Atomic<bool> stopping_{false};
    AddressRange input_{};
    std::uint32_t next_domain_ = 0;
    std::uint32_t last_domain_ = 0;
    std::size_t probe_size_ = 0;
    bool bypass_config_ = false;
    bool taken_ = false;
};

}  // namespace pv::iommu
