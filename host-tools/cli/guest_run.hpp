// One run of a guest from its options to its end, watched or not: scratch folder, disk images, faults,
// domain.
// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"
#include "cli/guest_options.hpp"
#include "domain/connection.hpp"
#include "domain/console.hpp"
#include "domain/machine.hpp"
#include "domain/scratch.hpp"
#include "domain/xml.hpp"
#include "faults/plan_file.hpp"
#include "faults/server.hpp"

namespace pv::cli {

/// How a run went.
struct RunReport {
    domain::Ending ending = domain::Ending::running;
    domain::EndReport end;
    domain::MonitorFacts facts;
    std::optional<int> guest_status;  ///< from the last console lines, "paravane: powering off, status N"
    bool timed_out = false;           ///< --timeout passed
    bool interrupted = false;         ///< Ctrl-C, SIGTERM, SIGHUP
    bool left = false;                ///< the user left the console
    bool given_up = false;            ///< WaitOptions::failed said so
    std::chrono::milliseconds duration{0};
    std::string console_tail;                ///< as the guest printed it
    std::string qemu_version;                ///< "10.0.2"; empty when libvirt does not say
    std::vector<std::string> plan_problems;  ///< steps of a fault plan that were not done, and why
    std::string disk_server_end;             ///< why a fault server ended by itself; empty normally

    /// How it ended, one of the words of docs/json.md, `guest_end.ended`.
    [[nodiscard]] std::string_view how() const;
    /// The status the guest gave itself; only of one that powered off.
    [[nodiscard]] std::optional<int> said_status() const;
    /// In a few words, for people and the trace's meta: "powered off, status 0", "ran out of time".
    [[nodiscard]] std::string outcome() const;
    /// It ended by itself and, where it says a status, with 0.
    [[nodiscard]] bool succeeded() const;
};

struct WaitOptions {
    std::optional<std::chrono::milliseconds> limit;
    /// How long the guest has for an orderly end at its power button, pressed when `limit` passes; nothing:
    /// it is ended at once.
    std::optional<std::chrono::milliseconds> power_off;
    std::function<bool()> failed = {};  ///< asked four times a second: true ends the run
    std::function<void(std::chrono::milliseconds)> tick =
        {};                             ///< four times a second, with the time since start
    std::function<void()> ending = {};  ///< called once, just before a guest that still runs is ended
    int input = -1;                     ///< a terminal or pipe whose bytes are typed at the guest; -1: none
    std::function<bool()> ready = {};   ///< false: input stays where it is, for now. Empty: always
    std::string end_of_input = {};      ///< typed at the end of an input that is a pipe
};

/// Members end in reverse order: guest, disk servers, console, connection, folder.
class GuestRun {
  public:
    /// A fault of a disk, by the disk's number, began or ended.
    using OnFault = std::function<void(const faults::FaultEvent&, unsigned disk)>;

    /// Makes scratch folder and guardian (call it before any thread is started) and the disks' images.
    /// Errors: unavailable: no space for an image of at most 1 GiB (larger ones are sparse), ...
    static Result<std::unique_ptr<GuestRun>> prepare(const Guest& guest);

    [[nodiscard]] const std::filesystem::path& folder() const { return scratch_->path(); }

    [[nodiscard]] const domain::GuestSpec& spec() const { return spec_; }

    /// What the watcher fills before start(): log, trace_events, plugin.
    domain::Wiring& wiring() { return wiring_; }

    /// Starts console, fault servers and the domain.
    Result<> start(domain::Console::OnOutput on_output, const OnFault& on_fault);

    /// Does one step of the fault plan to the running guest. Any thread, one at a time. Errors: as those say
    /// who do it; usage for a device the guest does not have.
    Result<> perform(const faults::Step& step);

    /// Steps of the plan that are done while the guest runs: all but faults that are there from the start.
    [[nodiscard]] std::vector<faults::Step> later_steps() const;

    /// Waits for the guest's end, and ends it when time, user or `failed` say so. In every case the guest is
    /// gone when it returns.
    RunReport wait(const WaitOptions& options);

    /// Ends the guest if it runs. Idempotent; also when start() failed.
    void stop();

    /// Ends the disks' servers, and with them their events. After wait(). Idempotent.
    void stop_servers() { servers_.clear(); }

    /// Copies console, domain XML and the logs to `directory` (made if missing).
    Result<> keep(const std::filesystem::path& directory) const;

  private:
    GuestRun() = default;
    Result<> make_images(const Guest& guest);
    Result<> start_disk_servers(const OnFault& on_fault);
    [[nodiscard]] faults::FaultServer* server_of(std::string_view disk) const;

    Result<std::string> describe_domain() const;

    std::unique_ptr<domain::Scratch> scratch_;
    domain::GuestSpec spec_;
    std::optional<domain::Clone> clone_;
    domain::CloneFiles clone_files_;
    std::vector<faults::Fault> faults_;
    faults::Plan plan_;
    std::map<std::size_t, std::uint64_t> armed_;  ///< faults of the plan, by their numbers at their servers
    std::string connect_;
    domain::Wiring wiring_;
    std::unique_ptr<domain::Connection> connection_;
    std::unique_ptr<domain::Console> console_;
    std::map<std::string, std::unique_ptr<faults::FaultServer>, std::less<>> servers_;  ///< by disk
    std::unique_ptr<domain::Machine> machine_;
    std::chrono::steady_clock::time_point started_{};
};

}  // namespace pv::cli
