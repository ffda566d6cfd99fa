// A QMP monitor of our own beside libvirt's: out-of-band commands that work while QEMU's main loop is stuck.
// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "base/file.hpp"

namespace pv::domain {

/// Why QEMU says the guest stopped, and what went wrong with its disks (QMP: qapi/run-state.json, SHUTDOWN;
/// qapi/block-core.json, BLOCK_IO_ERROR).
struct MonitorFacts {
    /// "guest-shutdown", "guest-reset", "guest-panic", "host-signal", ...; or empty. A guest's panic
    /// (GUEST_PANICKED) is "guest-panic", whoever ends it afterwards.
    std::string shutdown_reason;
    bool no_space = false;        ///< a disk image could not grow: the host's file system is full
    std::uint64_t io_errors = 0;  ///< errors QEMU's block layer reported
};

class Monitor {
  public:
    using OnShutdown = std::function<void()>;

    /// Takes QEMU's connection, negotiates out-of-band execution and reads events in a thread of its own
    /// until QEMU closes. `on_shutdown` runs in that thread. Errors: incomplete (deadline), unavailable (a
    /// QEMU without `oob`).
    static Result<std::unique_ptr<Monitor>> attach(Descriptor connection, std::chrono::milliseconds limit,
                                                   OnShutdown on_shutdown);

    Monitor(const Monitor&) = delete;
    Monitor& operator=(const Monitor&) = delete;
    ~Monitor();

    /// Breaks the connection of every NBD block node, whatever QEMU's main loop waits for (`query-yank`, then
    /// `yank`, out of band). Returns how many were broken. Errors: incomplete (no answer within `limit`).
    Result<std::size_t> yank_disks(std::chrono::milliseconds limit);

    /// Takes the link of a network card away, or gives it back (`set_link`). Errors: incomplete,
    /// unavailable (QEMU refused: no such card).
    Result<> set_link(const std::string& card, bool up, std::chrono::milliseconds limit);

    /// Asks the guest to let go of a device, by its slot's attention button (`device_del`); QEMU takes it
    /// away when the guest powers the slot off. Errors: incomplete, unavailable (QEMU refused: no such
    /// device, not in a slot, or the guest is at it already).
    Result<> unplug(const std::string& device, std::chrono::milliseconds limit);

    /// Takes a device away from the guest that uses it. QEMU has no command for it: the device is unrealised
    /// (`qom-set`, its property `realized`), upon which its registers are gone; the slot tells the guest
    /// nothing. The guest stands still meanwhile, until its disks are through with what they have under way.
    /// Errors: as unplug.
    Result<> pull(const std::string& device, std::chrono::milliseconds limit);

    /// What was heard so far; complete once QEMU has gone and closed() is true.
    [[nodiscard]] MonitorFacts facts() const;
    /// Waits until QEMU has closed its end; false after `limit`.
    bool wait_closed(std::chrono::milliseconds limit);

  private:
    struct State;
    explicit Monitor(std::unique_ptr<State> state);
    std::unique_ptr<State> state_;
};

}  // namespace pv::domain
