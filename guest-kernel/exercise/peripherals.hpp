// Devices that serve the kernel itself: sources of entropy, and a second console.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <memory>

#include "base/time.hpp"
#include "base/vector.hpp"
#include "device/pci/scan.hpp"
#include "device/virtio/console.hpp"
#include "device/virtio/rng.hpp"

namespace pv::exercise {

class Peripherals {
  public:
    /// Brings `found` up if it is one of them. Threads only.
    void take(const pci::Found& found);

    /// Seeds the entropy pool from the processor and from each source. A source that is slow or fails is said
    /// on the console and is no error of the exercise: nothing here waits for entropy.
    void start();

    /// Devices that were there and could not be brought up.
    [[nodiscard]] std::size_t failed() const { return failed_; }

    /// Says on the console how they stand, and how the pool does.
    void print_status();

    void let_go(Duration patience);

  private:
    Vector<std::unique_ptr<virtio::Rng>> sources_;
    Vector<std::unique_ptr<virtio::Console>> consoles_;
    std::size_t failed_ = 0;
    unsigned rng_number_ = 0;
    unsigned console_number_ = 0;
};

}  // namespace pv::exercise
