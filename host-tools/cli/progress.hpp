// One line on the terminal that says what is going on, for whatever takes longer than a second.
// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
#include <string>
#include <string_view>

namespace pv::cli {

/// Writes to stderr, and only when that is a terminal and `enabled`; nothing for the first second. The line
/// is taken back by clear() and by the destructor. One thread at a time.
class Progress {
  public:
    explicit Progress(bool enabled);
    ~Progress();
    Progress(const Progress&) = delete;
    Progress& operator=(const Progress&) = delete;

    /// Shows `text` (one line, printable; cut to the terminal's width), at most five times a second.
    void show(std::string_view text);
    void clear();

  private:
    using Clock = std::chrono::steady_clock;
    bool enabled_;
    bool shown_ = false;
    Clock::time_point started_ = Clock::now();
    Clock::time_point last_{};
};

}  // namespace pv::cli
