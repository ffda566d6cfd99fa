// A disk behind nbdkit with faults: starts the server, adds the faults, reports them as they happen, ends it.
// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <variant>

#include "base/error.hpp"
#include "faults/plan.hpp"

namespace pv::faults {

/// A fault began to act or ceased to.
struct FaultEvent {
    enum class Phase : std::uint8_t {
        begin,   ///< a request was caught
        end,     ///< that request went on (was carried out, or answered with the error)
        server,  ///< the server ended although nobody asked it to; only `detail` is set
    };

    Phase phase = Phase::begin;
    std::uint64_t fault = 0;    ///< number of the fault, from 0, in the order they were given
    std::uint64_t request = 0;  ///< number of the caught request; pairs a begin with its end
    Operation operation = Operation::any;
    std::uint64_t offset = 0;  ///< bytes
    std::uint64_t length = 0;  ///< bytes; 0 for flush
    std::string detail;        ///< the fault as it was written, or why the server ended; printable, bounded
};

/// Called in the server's own thread, one event at a time, in order; it must not block for long, must not
/// throw, and must not call into its FaultServer.
using EventCallback = std::function<void(const FaultEvent&)>;

/// What the server counted since it started.
struct ServerStats {
    std::uint64_t reads = 0, writes = 0, flushes = 0, trims = 0, zeroes = 0;
    std::uint64_t held = 0, delayed = 0, failed = 0, corrupted = 0, reordered = 0;  ///< caught, by action
    std::uint64_t holding = 0;  ///< requests kept at this moment
};

struct ServerOptions {
    std::string disk;  ///< "disk0": names the socket and selects the faults that are for it
    /// A raw image to serve (opened read-write, locked as QEMU locks images), or the size in bytes of an
    /// empty disk in memory (a multiple of 512).
    std::variant<std::filesystem::path, std::uint64_t> backing = std::uint64_t{0};
    bool read_only = false;
    std::filesystem::path plugin;      ///< nbdkit-paravane-plugin.so
    std::filesystem::path socket_dir;  ///< exists, belongs to the run, path short enough for a UNIX socket
    std::span<const Fault> faults;     ///< those for other disks are left alone; copied
    EventCallback on_event;            ///< may be empty
    std::string nbdkit = "nbdkit";     ///< found in PATH
    std::chrono::milliseconds deadline{10'000};  ///< for start and for each answer
};

/// One running nbdkit. It ends with this object, with the process that made it however that ends (the control
/// connection closes, and nbdkit gets a signal), and when it is told to. All functions may be called from any
/// thread; none waits longer than the deadline given at start.
class FaultServer {
  public:
    /// Starts the server and returns once its NBD socket answers and every fault is armed.
    /// Errors: unavailable (nbdkit or the plugin missing or unusable), usage (image missing, in use,
    /// unreadable; socket path too long; fault refused), incomplete (deadline passed). Nothing is left behind
    /// on error.
    static Result<std::unique_ptr<FaultServer>> start(const ServerOptions& options);

    FaultServer(const FaultServer&) = delete;
    FaultServer& operator=(const FaultServer&) = delete;
    ~FaultServer();

    /// Where the NBD server listens: `nbd+unix:///?socket=PATH`, export name "".
    [[nodiscard]] const std::filesystem::path& socket_path() const;
    [[nodiscard]] int pid() const;
    Result<ServerStats> stats();

    /// Arms one more fault. Returns its number at this server: what its events carry, counted from 0 on with
    /// those given at start. Errors: usage (for another disk, too many).
    Result<std::uint64_t> add(const Fault& fault);

    /// Disarms one fault and lets go what it holds. Errors: usage (no such fault).
    Result<> remove(std::uint64_t fault);

    /// Lets go every held request and disarms every fault: the disk works again.
    Result<> release_all();

    /// Ends the server at once (SIGKILL), held requests and all: the last rung of the ladder. Idempotent.
    void kill();

  private:
    class Impl;
    explicit FaultServer(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

/// The event as a line of the trace, without the "PID@SECONDS.MICROSECONDS:" that begins it; `disk` is the
/// number in the disk's name (0 for disk0). Empty for Phase::server, which is no trace event.
std::string trace_line(const FaultEvent& event, unsigned disk);

}  // namespace pv::faults
