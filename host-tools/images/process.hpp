// Programs of others (apt-get): run to their end, cancellable, with what they print.
// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"

namespace pv::images {

/// What long work tells and asks: every step of building an image takes one.
struct Work {
    /// One printable line about what is going on, often. May be empty.
    std::function<void(std::string_view)> say = {};
    /// Becomes readable when the user gives up; -1: never.
    int cancel = -1;

    void tell(std::string_view line) const;
    /// True once the user gave up.
    [[nodiscard]] bool cancelled() const;
    /// The error to return then: status interrupted. Callers that know the signal replace it.
    [[nodiscard]] static Error given_up();
};

struct Outcome {
    int status = 0;      ///< exit status, or 128 + signal
    std::string output;  ///< what it wrote to stdout, at most 64 MiB
    std::string errors;  ///< the last 64 KiB of its stderr
};

/// Runs `arguments` (the first is looked up in PATH) without a terminal, with /dev/null as its input, in a
/// process group of its own that is ended when the user gives up, when `limit` passes, and when this process
/// dies. `on_status` gets each line it writes to the descriptor `status_descriptor`. Errors: unavailable: it
/// cannot be started, or took longer than `limit`; interrupted. A status that is not 0 is no error here.
constexpr int status_descriptor = 3;
Result<Outcome> run_program(const std::vector<std::string>& arguments, std::chrono::seconds limit,
                            const Work& work, const std::function<void(std::string_view)>& on_status = {});

}  // namespace pv::images
