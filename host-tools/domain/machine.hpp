// A running guest: started in a libvirt domain, waited for, and ended whatever state it is in.
// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"
#include "domain/connection.hpp"
#include "domain/guest.hpp"
#include "domain/monitor.hpp"
#include "domain/scratch.hpp"
#include "domain/xml.hpp"

namespace pv::domain {

/// How a guest came to its end.
enum class Ending : std::uint8_t {
    running,      ///< it did not
    powered_off,  ///< by itself
    reset,        ///< it asked for a reset, or a triple fault did: the domain ends instead
    panicked,     ///< it said so through a pvpanic device
    ended_by_us,  ///< end() was needed
    crashed,      ///< QEMU went away by itself
};

std::string_view name(Ending ending);

/// The ladder that ends a guest: each rung has its own deadline, the next one is taken when it passes. While
/// a request to a disk is stuck, a reset of its controller holds QEMU's main lock, and with it the monitor:
/// only the out-of-band rungs reach it then.
enum class Rung : std::uint8_t {
    none,          ///< it had ended already
    graceful,      ///< libvirt's destroy (SIGTERM to QEMU)
    yank,          ///< out-of-band QMP: the connections of its NBD disks are cut
    disk_servers,  ///< SIGKILL to the disks' servers
    hypervisor,    ///< SIGKILL to QEMU
};

std::string_view name(Rung rung);

struct Ladder {
    std::chrono::milliseconds graceful{4'000};
    std::chrono::milliseconds yank{2'000};
    std::chrono::milliseconds disk_servers{4'000};
    std::chrono::milliseconds hypervisor{5'000};
};

struct EndReport {
    Rung rung = Rung::none;  ///< the last one taken

    /// The guest was wedged in drain: QEMU itself did not answer to a graceful end.
    [[nodiscard]] bool wedged() const { return rung > Rung::graceful; }
};

struct MachineOptions {
    std::filesystem::path scratch;            ///< the run's folder, by which its processes are known
    std::function<void()> kill_disk_servers;  ///< the ladder's rung; may be empty
    std::chrono::milliseconds start_limit{60'000};
};

class Machine {
  public:
    /// Starts the domain described by `xml`, whose monitor connects to `scratch`/qmp. Errors: as diagnosed
    /// from libvirt's and QEMU's words: unavailable (QEMU without plugins, too old, plugin refused, no
    /// libvirt driver, KVM), usage (disk in use), incomplete (deadline). Nothing is left running on error.
    static Result<std::unique_ptr<Machine>> start(const Connection& connection, const std::string& xml,
                                                  const MachineOptions& options);

    Machine(const Machine&) = delete;
    Machine& operator=(const Machine&) = delete;
    /// Climbs the ladder if the guest still runs.
    ~Machine();

    /// Readable from the moment the guest has ended.
    [[nodiscard]] int ended_fd() const;
    [[nodiscard]] bool ended() const;

    /// See Monitor. While the guest runs; any thread.
    Result<> set_link(const std::string& card, bool up);
    Result<> unplug(const std::string& device);
    Result<> pull(const std::string& device);

    /// Asks the guest to end by itself, as a press of its power button does. It need not obey. Error:
    /// incomplete: nobody to ask.
    Result<> press_power_button();

    /// Ends the guest if it still runs. When it returns, QEMU is gone, except when even SIGKILL did not help
    /// (a process stuck in the kernel). Idempotent.
    EndReport end(const Ladder& ladder = {});

    /// Call after the guest ended.
    [[nodiscard]] Ending ending() const;
    [[nodiscard]] MonitorFacts facts() const;

  private:
    struct State;
    explicit Machine(std::unique_ptr<State> state);
    std::unique_ptr<State> state_;
};

}  // namespace pv::domain
