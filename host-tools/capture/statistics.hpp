// What the capture of a run counted: nothing that came is left out of these figures.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace pv::capture {

/// lines = events + ignored + not_understood.
struct Statistics {
    std::uint64_t bytes = 0;
    std::uint64_t lines = 0;
    std::uint64_t events = 0;          ///< stored
    std::uint64_t ignored = 0;         ///< well-formed lines of events no rule or view uses
    std::uint64_t not_understood = 0;  ///< torn, garbled or too long: evidence was lost
    std::uint64_t lost = 0;  ///< lines that their writer says it could not write (paravane_lost, plugin end)
    std::uint64_t injected = 0;  ///< of `lines`, those given to Session::inject
    std::uint64_t time_reversals =
        0;  ///< lines whose clock was behind the line before (stored with that one's time)
    std::vector<std::string>
        samples;  ///< the first few lines not understood, cut and escaped to printable ASCII

    [[nodiscard]] bool is_complete() const { return not_understood == 0 && lost == 0; }
};

}  // namespace pv::capture
