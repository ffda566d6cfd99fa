// What a person or a pipe types at a guest: held until the guest takes it. Of a pipe nothing is lost.
// SPDX-License-Identifier: MIT
#pragma once

#include <string>

#include "cli/guest_run.hpp"
#include "domain/console.hpp"

namespace pv::cli {

/// Carries WaitOptions::input to the console. One thread.
class Typing {
  public:
    Typing(domain::Console& console, const WaitOptions& options);

    /// The descriptor to wait for; -1 while nothing is to be read from it.
    [[nodiscard]] int input() const;

    /// Something waits for the guest or for WaitOptions::ready: ask again soon.
    [[nodiscard]] bool waits() const;

    /// Reads what input() has. At the end of a pipe, the guest gets the end of input.
    void take();

    /// Gives the guest what it takes.
    void pass_on();

    /// Ctrl-] was typed on a terminal.
    [[nodiscard]] bool left() const { return left_; }

  private:
    [[nodiscard]] bool ready() const;

    domain::Console& console_;
    const WaitOptions& options_;
    int input_;
    bool terminal_;
    bool left_ = false;
    std::string pending_;
    bool line_ended_ = true;  ///< the last byte taken was a line's end
};

}  // namespace pv::cli
