// A doorbell that is also kept in memory, where the controller looks while it is busy: most rings need no
// register.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>

#include "base/atomic.hpp"
#include "device/dma/shared.hpp"

namespace pv::nvme {

/// One doorbell of the Doorbell Buffer Config command (NVM Express Base 2.0, section 5.8): its shadow, which
/// the driver writes, and its event index, in which the controller says from which value on it wants its
/// register written. Not synchronised; a default one is not in use.
class ShadowDoorbell {
  public:
    ShadowDoorbell() = default;

    /// Two words of zero, 4-byte aligned, that outlive this.
    ShadowDoorbell(std::uint32_t* value, std::uint32_t* event) : value_{value}, event_{event} {}

    /// The queue is empty again, and the controller does not know of it.
    void restart() {
        last_ = 0;
        if (value_ != nullptr) {
            AtomicRef{*value_}.store(0, std::memory_order_relaxed);
            AtomicRef{*event_}.store(0, std::memory_order_relaxed);
        }
    }

    /// Whether the register must be written with `value` too. What was written to memory before is visible to
    /// the controller first.
    [[nodiscard]] bool ring(std::uint16_t value) {
        if (value_ == nullptr) {
            return true;
        }
        AtomicRef{*value_}.store(value, std::memory_order_release);
        // The controller writes the index, then looks at the value once more; this is the other half of it.
        dma::publish_before_looking();
        const auto event = static_cast<std::uint16_t>(AtomicRef{*event_}.load(std::memory_order_relaxed));
        const auto since_event = static_cast<std::uint16_t>(value - event - 1);
        const auto moved = static_cast<std::uint16_t>(value - last_);
        last_ = value;
        return since_event < moved;
    }

  private:
    std::uint32_t* value_ = nullptr;
    std::uint32_t* event_ = nullptr;
    std::uint16_t last_ = 0;
};

}  // namespace pv::nvme
