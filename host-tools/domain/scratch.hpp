// The folder of one run, and the guardian that removes it and its processes even when the tool is killed.
// SPDX-License-Identifier: MIT
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "base/file.hpp"

namespace pv::domain {

/// A new private folder (mode 0700) with a short unique name below TMPDIR, or /tmp where TMPDIR is too long
/// for UNIX sockets (sun_path has 108 bytes). Every process of a run has this path in its arguments: that is
/// how they are found again.
///
/// A guardian process, forked here, waits for the tool to end. If the tool dies without having destroyed this
/// object (SIGKILL, a crash), the guardian kills every process that names the folder, and removes the folder.
/// Create it before starting threads: the guardian is a fork without exec.
class Scratch {
  public:
    /// Errors: unavailable (no writable temporary folder, no process).
    static Result<std::unique_ptr<Scratch>> create();

    Scratch(const Scratch&) = delete;
    Scratch& operator=(const Scratch&) = delete;
    /// Kills what is left of the run's processes, removes the folder, dismisses the guardian.
    ~Scratch();

    [[nodiscard]] const std::filesystem::path& path() const { return path_; }

    /// Six characters, unique among this machine's runs: part of names that others see (the domain's).
    [[nodiscard]] std::string id() const;
    /// Free bytes where the folder lies.
    [[nodiscard]] std::uint64_t free_bytes() const;

  private:
    Scratch() = default;
    std::filesystem::path path_;
    Descriptor lifeline_;
    pid_t guardian_ = -1;
};

/// Processes (this one excepted) that have `word` in their arguments: /proc/PID/cmdline.
std::vector<pid_t> processes_naming(const std::string& word);

}  // namespace pv::domain
