// What a driver makes of one PCI function: its block devices, and the way to let go of them.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <string_view>

#include "base/deadline.hpp"
#include "base/status_lines.hpp"
#include "block/device.hpp"

namespace pv::block {

class Controller {
  public:
    Controller() = default;
    Controller(const Controller&) = delete;
    Controller& operator=(const Controller&) = delete;
    virtual ~Controller() = default;

    [[nodiscard]] virtual std::string_view name() const = 0;

    [[nodiscard]] virtual std::size_t device_count() const = 0;

    /// `index` is below device_count(). The controller owns the device.
    [[nodiscard]] virtual Device& device(std::size_t index) = 0;

    /// Something happened to the device: it finds out what, and ends what cannot go on. Once it is up, until
    /// shut_down. Any thread; never sleeps.
    virtual void look() = 0;

    /// The device is about to be taken away: it takes no more requests, gives those outstanding `patience` to
    /// end, and lets go of the hardware; users get device_failed from then on. As look; dead() says when.
    virtual void leave(Duration patience) = 0;

    /// It was given up, and touches the hardware no more. Any thread.
    [[nodiscard]] virtual bool dead() const = 0;

    /// Says how its queues stand. Threads only.
    virtual void print_status(StatusLines& lines) = 0;

    /// Lets go of the hardware: waits until the deadline at most for what is still owed, resets it, takes bus
    /// mastering away, and ends every mapping. Each step is bounded, so it returns whatever the device does.
    /// Threads only; nobody uses the devices any more. Called once, before destruction.
    virtual void shut_down(Deadline deadline) = 0;
};

}  // namespace pv::block
