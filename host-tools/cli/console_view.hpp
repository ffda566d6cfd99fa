// A guest's console on standard output.
// SPDX-License-Identifier: MIT
#pragma once

#include <string>
#include <string_view>

namespace pv::cli {

/// Writes what a guest prints to stdout as it comes: unchanged when `raw`, else made harmless for a terminal
/// (carriage returns and backspaces pass, for line editing). A character cut between two pieces is held back
/// until it is whole. One thread at a time.
class ConsoleView {
  public:
    explicit ConsoleView(bool raw) : raw_(raw) {}

    void show(std::string_view bytes);
    /// Writes what was held back.
    void finish();

    /// What show() would write for `bytes`; for show() itself and its tests.
    std::string convert(std::string_view bytes);

  private:
    bool raw_;
    std::string held_;
};

}  // namespace pv::cli
