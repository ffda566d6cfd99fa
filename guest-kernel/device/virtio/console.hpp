// A virtio-console: port 0 says what the log says.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "base/atomic.hpp"
#include "base/result.hpp"
#include "device/virtio/buffer_device.hpp"
#include "task/thread.hpp"
#include "task/wait_queue.hpp"

namespace pv::virtio {

/// VIRTIO 1.2, section 5.3, without multiple ports. Output only: no buffer is given to the receive queue, so
/// what is typed there stays with the device. The first console that is brought up is the log's mirror: a
/// thread sends what was logged since it last looked. Lines that come faster than the device takes them are
/// dropped whole and counted; whoever logs never waits for it.
class Console final : public BufferDevice {
  public:
    /// Takes the function, resets the device, makes its queues, and begins to mirror the log. On an error the
    /// device is quiet again, and the console says what went wrong. Threads only.
    [[nodiscard]] static Result<std::unique_ptr<Console>> create(pci::Function function, unsigned number,
                                                                 const Patience& patience = {});

    ~Console();

    /// Sends `text` (1 to a page) and waits for it. A recovery that ends it has it sent again. Errors:
    /// timed_out, device_failed, io, invalid_argument, interrupted, as Mapping::map.
    [[nodiscard]] Result<> write(std::span<const char> text, Deadline deadline);

    /// Sends what the log holds still, ends the mirror, and shuts the device down.
    void stop(Deadline deadline);

    /// Lines that were not sent, of all consoles since boot.
    [[nodiscard]] static std::uint64_t dropped();

  private:
    Console(pci::Function function, unsigned number, const Patience& patience)
        : BufferDevice{function, "virtio-console", number, patience} {}

    [[nodiscard]] Result<> start_mirror();
    void serve();
    /// Sends all there is. False when the device does not take it.
    bool send_backlog(Deadline deadline);

    task::Thread thread_;
    task::WaitQueue wake_;
    Atomic<bool> stopping_{false};
    bool mirrors_ = false;
};

}  // namespace pv::virtio
