// A VT-d unit: root and context tables, queued invalidation, interrupt remapping, faults.
// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <cstdint>
#include <memory>

#include "base/address.hpp"
#include "base/result.hpp"
#include "device/iommu/interrupt_table.hpp"
#include "device/iommu/invalidation_queue.hpp"
#include "device/iommu/page_table.hpp"
#include "device/iommu/regs.hpp"
#include "device/iommu/table_frames.hpp"
#include "device/iommu/unit.hpp"
#include "device/mmio/window.hpp"
#include "interrupt/vector.hpp"

namespace pv::iommu {

/// VT-d 4.0, legacy mode.
class VtdUnit final : public Unit {
  public:
    /// Takes the unit whose registers lie at `registers` and reads what it can do; nothing is translated yet.
    /// `interrupts`: the firmware allows remapping of interrupts. Threads only. Errors: not_supported (no
    /// queued invalidation, no usable table format), corrupt (fault records outside the registers),
    /// out_of_memory, as map_device.
    [[nodiscard]] static Result<std::unique_ptr<VtdUnit>> create(PhysicalAddress registers, bool interrupts);

    [[nodiscard]] std::string_view kind() const override { return "VT-d"; }

    [[nodiscard]] Result<std::unique_ptr<Domain>> attach(marker::Device device) override;
    [[nodiscard]] Result<> enable() override;
    void disable() override;
    [[nodiscard]] Result<interrupt::Message> remap(marker::Device device, std::size_t source,
                                                   const interrupt::Message& message) override;
    void forget_interrupts(marker::Device device) override;

    /// Fetches and reports every fault there is. The handler of the fault interrupt; others may, too.
    void take_faults();

    // For its domains.
    [[nodiscard]] Result<> invalidate(std::uint16_t domain, std::uint64_t iova, std::size_t pages);
    void block(marker::Device device, std::uint16_t domain);
    /// Entries that appeared are seen by the unit only after this, on old units (VT-d 4.0, 6.8) and where it
    /// remembers what was not there (caching mode, 6.1).
    [[nodiscard]] Result<> publish(std::uint16_t domain, std::uint64_t iova, std::size_t pages);

  private:
    VtdUnit(mmio::Window registers, TableFrames root);

    [[nodiscard]] Result<> check() const;
    /// Writes `bit` set or cleared, and waits until the status says so. Threads only.
    [[nodiscard]] Result<> command(std::uint32_t bit, bool on);
    [[nodiscard]] Result<> start_queue();
    [[nodiscard]] Result<> start_interrupts();
    [[nodiscard]] Result<> start_fault_events();
    [[nodiscard]] Result<spec::ContextEntry*> context(marker::Device device);
    [[nodiscard]] unsigned table_levels() const;

    mmio::Window registers_;
    Capability capability_;
    ExtendedCapability extended_;
    TableFrames root_;
    std::array<TableFrames, 256> contexts_;  ///< one table for each bus that has a device
    std::unique_ptr<InvalidationQueue> queue_;
    std::unique_ptr<InterruptTable> interrupts_;
    interrupt::Vector fault_vector_;
    std::uint32_t next_domain_ = 1;  ///< 0 is reserved in caching mode (VT-d 4.0, 6.1)
    bool interrupts_wanted_ = false;
};

}  // namespace pv::iommu
