// One watched run of a guest: everything that comes through QEMU's log goes into a trace.
// SPDX-License-Identifier: MIT
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "capture/statistics.hpp"
#include "cli/guest_options.hpp"
#include "cli/guest_run.hpp"
#include "cli/progress.hpp"
#include "faults/plan_file.hpp"

namespace CLI {
class App;
}

namespace pv::cli {

/// The options that `record` and `check` share.
struct RecordOptions {
    GuestOptions guest;
    std::string output = "trace.db";
    std::string keep;
    std::vector<std::string> probes;  ///< of the plugin, beside those that every run has
    bool quiet = false;
};

void add_record_options(CLI::App& app, RecordOptions& options);

struct Recording {
    std::filesystem::path trace;  ///< finished: indexes built, meta complete
    RunReport run;
    capture::Statistics statistics;
    faults::Expectation expect;  ///< of the fault plan; empty without one
};

/// Runs the guest watched and writes its trace, replacing an older trace of the same name. `subcommand` is
/// named in the trace's meta `reproduce`. The guest is gone when it returns. Errors: what stopped the
/// recording; the trace is valid up to there. An interrupt is no error here: RunReport::interrupted says so.
Result<Recording> record(const RecordOptions& options, std::string_view subcommand, Progress& progress);

/// One line about what could not be recorded or ended badly, for stderr; empty when all is well.
std::string complaint(const Recording& recording);

}  // namespace pv::cli
