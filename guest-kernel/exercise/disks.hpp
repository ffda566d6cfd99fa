// Every disk of this machine: functions found, drivers chosen, and all of it let go again.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <memory>

#include "base/deadline.hpp"
#include "base/function_ref.hpp"
#include "base/status_lines.hpp"
#include "base/vector.hpp"
#include "block/controller.hpp"
#include "device/pci/scan.hpp"
#include "device/pci/slots.hpp"

namespace pv::exercise {

class Disks {
  public:
    /// Scans PCI and brings up every NVMe controller and virtio-blk device; the other functions are
    /// `others`'s. Threads only, once.
    void find(FunctionRef<void(const pci::Found&)> others);

    /// Devices that were there and could not be brought up.
    [[nodiscard]] std::size_t failed() const { return failed_; }

    [[nodiscard]] std::size_t count() const;

    /// Tells the slots of those that are in one. Errors: out_of_memory.
    Result<> occupy(pci::Slots& slots);

    void for_each(FunctionRef<void(block::Device&)> visit);

    /// Says how each controller's queues stand. Threads only.
    void print_status(StatusLines& lines);

    /// Shuts down every controller.
    void let_go(Duration patience);

  private:
    Vector<std::unique_ptr<block::Controller>> controllers_;
    Vector<pci::Address> addresses_;  ///< of controllers_
    std::size_t failed_ = 0;
};

}  // namespace pv::exercise
