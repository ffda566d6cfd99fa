// When a wait ends at the latest. Every blocking function takes one.
// SPDX-License-Identifier: MIT
#pragma once

#include "base/time.hpp"

namespace pv {

class Deadline {
  public:
    /// `span` from now. A span of zero has expired already: the wait only looks.
    static Deadline after(Duration span) { return Deadline(now() + span, nullptr); }

    static constexpr Deadline at(Instant instant) { return Deadline(instant, nullptr); }

    /// Never passes. `reason` is a literal saying why that is right here; a test keeps the list of all uses
    /// (tests/guest/never_allowed.txt).
    static constexpr Deadline never(const char* reason) { return Deadline(Instant::max(), reason); }

    [[nodiscard]] constexpr bool is_never() const { return reason_ != nullptr; }

    /// Why it never passes; nullptr for one that does.
    [[nodiscard]] constexpr const char* reason() const { return reason_; }

    [[nodiscard]] bool expired() const { return !is_never() && now() >= instant_; }

    /// Time left, zero once expired, Duration::max() for never.
    [[nodiscard]] Duration remaining() const { return is_never() ? Duration::max() : instant_ - now(); }

    [[nodiscard]] constexpr Instant instant() const { return instant_; }

    /// The earlier of the two.
    friend constexpr Deadline earlier(Deadline a, Deadline b) { return b.instant_ < a.instant_ ? b : a; }

  private:
    constexpr Deadline(Instant instant, const char* reason) : instant_(instant), reason_(reason) {}

    Instant instant_;
    const char* reason_;
};

}  // namespace pv
