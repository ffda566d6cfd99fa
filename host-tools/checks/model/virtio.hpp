// Virtio devices: which PCI function a QEMU object is, queues, elements and the memory they use.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <unordered_map>
#include <vector>

#include "checks/model/devices.hpp"
#include "checks/model/ledger.hpp"
#include "checks/model/signals.hpp"
#include "checks/model/types.hpp"

namespace pv::checks {

struct VirtioDevice {
    Bdf bdf = no_device;
    std::uint64_t features = 0;  ///< what the driver accepted (VIRTIO 1.2, section 2.2)
    std::uint32_t feature_page = 0;
    std::uint32_t queue_select = 0;
    std::map<std::uint32_t, std::uint32_t> queue_sizes;
    std::uint32_t status = 0;
    Place resetting;          ///< status 0 was written; over when that vCPU, or the device, goes on
    std::size_t cut_off = 0;  ///< requests outstanding then
};

/// A write to a virtio device's common configuration, or to a transitional one's port window.
struct VirtioWrite {
    Bdf bdf = no_device;
    bool legacy = false;
    std::uint64_t offset = 0;  ///< in the structure, or the window
    std::uint64_t value = 0;

    /// It is to the device status (VIRTIO 1.2, sections 4.1.4.3 and 4.1.4.10); `value` is the status then.
    [[nodiscard]] bool to_status() const { return offset == (legacy ? 0x12 : 0x14); }
};

/// `event` as such a write; nothing when it is another, or of a device whose BAR is not known.
[[nodiscard]] std::optional<VirtioWrite> virtio_write(const Devices& devices, const trace::Event& event);

/// QEMU's events name objects. An object's PCI function is learnt from the register write that comes right
/// before `virtio_set_status`; a queue's device from `virtio_queue_notify`. The DMA accesses of an element
/// come right before its `virtqueue_pop`, in an address space that devices may share.
class Virtio {
  public:
    Virtio(const Devices& devices, Ledger& ledger, Signals& signals)
        : devices_(devices), ledger_(ledger), signals_(signals) {}

    void see(const trace::Event& event);

    /// A DMA access that is not an NVMe controller's: of the element popped next, or of some other device.
    void access(const trace::Event& event);

    /// The trace is over: what still waits for its element belongs to nobody known.
    void flush_accesses() { release_accesses(accesses_.size()); }

    [[nodiscard]] const VirtioDevice* find(Bdf bdf) const;

  private:
    struct Queue {
        Bdf bdf = no_device;
        std::uint32_t index = 0;
        std::uint16_t popped = 0;
        bool has_commands = false;  ///< its elements are commands: of a disk, or announced by the guest
    };

    struct Element {
        std::uint64_t owner = 0;  ///< command's serial, or an anonymous one
        std::uint64_t queue = 0;
        bool is_command = false;
        std::uint64_t status = 0;
    };

    void register_write(const trace::Event& event);
    void set_status(const trace::Event& event);
    void kick(const trace::Event& event);
    void pop(const trace::Event& event);
    void fill(const trace::Event& event);
    void block_request(const trace::Event& event, std::uint32_t operation);
    void settle_resets(const trace::Event& event);
    void release_accesses(std::size_t count);
    void forget_elements(Bdf bdf);

    const Devices& devices_;
    Ledger& ledger_;
    Signals& signals_;
    std::map<Bdf, VirtioDevice> functions_;
    std::unordered_map<std::uint64_t, Bdf> objects_;   ///< QEMU's device pointers
    std::unordered_map<std::uint64_t, Queue> queues_;  ///< QEMU's queue pointers
    std::unordered_map<std::uint64_t, Element>
        elements_;                    ///< QEMU's element pointers, popped and not returned
    std::vector<Transfer> accesses_;  ///< not yet known whose
    Place last_status_write_;
    Bdf last_status_bdf_ = no_device;
    std::uint64_t last_status_value_ = 0;
    bool some_resetting_ = false;
};

}  // namespace pv::checks
