// A fault plan while its guest runs: waits for each step's moment, and has it done.
// SPDX-License-Identifier: MIT
#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/error.hpp"
#include "faults/schedule.hpp"
#include "paravane/trace_event.hpp"

namespace pv::cli {

/// Performs steps in a thread of its own, from begin() to stop().
class PlanRun {
  public:
    using Perform = std::function<Result<>(const faults::Step&)>;
    using Note = std::function<void(const std::string&)>;

    /// `perform` and `note` are called in the thread; `note` with each step as it is done.
    PlanRun(std::vector<faults::Step> steps, Perform perform, Note note);
    PlanRun(const PlanRun&) = delete;
    PlanRun& operator=(const PlanRun&) = delete;
    ~PlanRun();

    /// The guest was started.
    void begin();

    /// An event was seen; any thread, quick.
    void saw(trace::Kind kind);

    /// No step is done any more. Idempotent.
    void stop();

    /// What went wrong, and the steps whose moment never came; after stop().
    [[nodiscard]] std::vector<std::string> problems() const;

  private:
    using Clock = faults::Schedule::Clock;

    void run();

    Perform perform_;
    Note note_;
    mutable std::mutex lock_;  ///< guards what follows
    std::condition_variable changed_;
    faults::Schedule schedule_;
    std::vector<std::string> problems_;
    bool stopping_ = false;
    std::thread thread_;
};

/// Every event a step waits for is one that a trace can hold. Errors: usage, with the nearest name.
Result<> check_events(const std::vector<faults::Step>& steps);

}  // namespace pv::cli
