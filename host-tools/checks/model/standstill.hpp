// Time that QEMU took from the whole machine.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>

#include "checks/model/types.hpp"

namespace pv::checks {

/// QEMU cancels a disk's commands with its main loop held, when a queue is deleted or a device reset: until
/// its disk answers, no processor reaches a device and no other device an answer. That is QEMU's time, not
/// the guest's. It ends with the first register access of a processor.
class Standstill {
  public:
    void see(const trace::Event& event) {
        using trace::Kind;
        if (begins(event)) {
            since_ = since_ < 0 ? event.time : since_;
        } else if (since_ >= 0 && event.cpu >= 0 &&
                   (event.kind == Kind::mmio_read || event.kind == Kind::mmio_write)) {
            total_ += event.time - since_;
            since_ = -1;
        }
    }

    /// It stands still now, as far as the trace says.
    [[nodiscard]] bool now() const { return since_ >= 0; }

    /// Microseconds, of all that are over.
    [[nodiscard]] std::int64_t total() const { return total_; }

  private:
    static bool begins(const trace::Event& event) {
        using trace::Kind;
        return event.kind == Kind::nvme_delete_sq ||
               (event.kind == Kind::nvme_configure &&
                (trace::get<Kind::nvme_configure, "value">(event) & 1) == 0) ||
               (event.kind == Kind::virtio_status && trace::get<Kind::virtio_status, "value">(event) == 0);
    }

    std::int64_t since_ = -1;  ///< negative: it does not stand still
    std::int64_t total_ = 0;
};

}  // namespace pv::checks
