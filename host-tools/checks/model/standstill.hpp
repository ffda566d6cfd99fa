// Time that QEMU took from the whole machine.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <optional>

#include "checks/model/devices.hpp"
#include "checks/model/types.hpp"
#include "checks/model/virtio.hpp"

namespace pv::checks {

/// QEMU cancels a disk's commands with its main loop held, when a queue is deleted or a device reset: until
/// its disk answers, no processor reaches a device and no other device an answer. That is QEMU's time, not
/// the guest's. It ends with the first register access of a processor, or with anything at all that the
/// processor does whose own access it began with.
class Standstill {
  public:
    explicit Standstill(const Devices& devices) : devices_(devices) {}

    void see(const trace::Event& event) {
        using trace::Kind;
        const bool access =
            event.cpu >= 0 && (event.kind == Kind::mmio_read || event.kind == Kind::mmio_write);
        if (since_ >= 0 && (access || (event.cpu >= 0 && event.cpu == cpu_))) {
            total_ += event.time - since_;
            since_ = -1;
        }
        if (since_ < 0 && begins(event)) {
            since_ = event.time;
            cpu_ = event.cpu;
        }
    }

    /// It stands still now, as far as the trace says.
    [[nodiscard]] bool now() const { return since_ >= 0; }

    /// Microseconds, of all that are over.
    [[nodiscard]] std::int64_t total() const { return total_; }

  private:
    bool begins(const trace::Event& event) const {
        using trace::Kind;
        switch (event.kind) {
            case Kind::nvme_delete_sq:
                return true;
            case Kind::nvme_configure:
                return (trace::get<Kind::nvme_configure, "value">(event) & 1) == 0;
            case Kind::virtio_status:
                return trace::get<Kind::virtio_status, "value">(event) == 0;
            case Kind::mmio_write: {
                // A virtio disk is drained before QEMU tells of the status: the write is the last that is
                // seen.
                const std::optional<VirtioWrite> write = virtio_write(devices_, event);
                return write && write->to_status() && (write->value & 0xff) == 0;
            }
            default:
                return false;
        }
    }

    const Devices& devices_;
    std::int64_t since_ = -1;  ///< negative: it does not stand still
    std::int32_t cpu_ = -1;    ///< whose access it began with; -1: none's
    std::int64_t total_ = 0;
};

}  // namespace pv::checks
