// A connection to libvirt: the embedded driver without a daemon, or any other URI; and its event loop.
// SPDX-License-Identifier: MIT
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "domain/orphans.hpp"

// libvirt's own handles; libvirt/libvirt.h stays out of this header.
struct _virConnect;
struct _virDomain;

namespace pv::domain {

/// The user's name for the default, `qemu:///embed?root=...` with a root made for the run.
inline constexpr const char* embedded_uri = "embed";

class Connection {
  public:
    /// Opens the embedded driver in `root` (a folder of this run; qemu.conf and the cache of QEMU's
    /// capabilities are put there first), with a thread that runs libvirt's event loop.
    /// One at a time in a process. Errors: unavailable: libvirt or its QEMU driver is missing.
    static Result<std::unique_ptr<Connection>> open_embedded(const std::filesystem::path& root);

    /// Opens any other URI of this machine. Errors: usage: a URI with a host in it (trace and console are
    /// FIFO and sockets of this machine); unavailable: no daemon, no permission, no such driver.
    static Result<std::unique_ptr<Connection>> open(const std::string& uri);

    Connection(const Connection&) = delete;
    Connection& operator=(const Connection&) = delete;
    ~Connection();

    [[nodiscard]] _virConnect* get() const { return connection_; }

    [[nodiscard]] bool embedded() const { return !root_.empty(); }

    /// The hypervisor as major, minor, release, e.g. "10.0.2"; empty when the driver does not say.
    [[nodiscard]] std::string hypervisor_version() const;

    /// What confines its guests: "dac", "apparmor", "selinux", as its capabilities list them. Error:
    /// unavailable.
    [[nodiscard]] Result<std::vector<std::string>> security_models() const;

    /// Puts what libvirt learnt about this QEMU where the next run finds it. Call after a domain started.
    void keep_cache() const;

  private:
    Connection() = default;
    _virConnect* connection_ = nullptr;
    std::filesystem::path root_;
    class EventLoop;
    std::shared_ptr<EventLoop> loop_;
    std::unique_ptr<OrphanReaper> orphans_;
};

/// libvirt's last error in this thread, as one line.
std::string last_libvirt_error();

/// libvirt's version as "9.0.0". Not before a connection was opened: libvirt settles where it logs at its
/// first call.
std::string libvirt_version();

}  // namespace pv::domain
