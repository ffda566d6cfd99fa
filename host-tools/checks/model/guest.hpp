// What the guest said of itself: hello with its promises, goodbye.
// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstdint>

#include "checks/limits.hpp"
#include "checks/model/types.hpp"

namespace pv::checks {

/// Before hello the firmware runs (or a guest without markers): rules that need markers judge from hello on.
class Guest {
  public:
    void see(const trace::Event& event) {
        using trace::Kind;
        if (event.kind == Kind::marker_hello) {
            hello_ = place_of(event);
            features_ = trace::get<Kind::marker_hello, "features">(event);
            slack_ = std::min(trace::get<Kind::marker_hello, "slack">(event), longest_deadline);
            goodbye_ = {};
        } else if (event.kind == Kind::profile) {
            profiled_ = true;
        } else if (event.kind == Kind::marker_goodbye) {
            goodbye_ = place_of(event);
            status_ = trace::get<Kind::marker_goodbye, "status">(event);
        } else if (event.kind == Kind::marker_refused) {
            // Version 0: a marker came before any hello, and a hello may still follow.
            const bool early = trace::get<Kind::marker_refused, "version">(event) == 0;
            refused_ = refused_ || !early;
            early_ = early_ || early;
        }
    }

    [[nodiscard]] bool has_markers() const { return static_cast<bool>(hello_); }

    /// The guest is past hello and marks all of `feature` (pv_marker_feature).
    [[nodiscard]] bool promises(std::uint64_t feature) const { return hello_ && (features_ & feature) != 0; }

    [[nodiscard]] const Place& hello() const { return hello_; }

    [[nodiscard]] const Place& goodbye() const { return goodbye_; }

    [[nodiscard]] std::uint64_t slack() const { return slack_; }  ///< nanoseconds, at most longest_deadline

    /// Microseconds within which the guest has to act on a deadline of so many nanoseconds, at most
    /// longest_deadline.
    [[nodiscard]] std::int64_t allowed(std::uint64_t deadline) const {
        return static_cast<std::int64_t>((deadline + slack_) / 1'000);
    }

    [[nodiscard]] std::uint64_t status() const { return status_; }

    /// Its markers have a version this plugin does not know.
    [[nodiscard]] bool markers_refused() const { return refused_; }

    /// It gave markers before any hello: those were ignored.
    [[nodiscard]] bool markers_early() const { return early_; }

    /// Its mappings are told by a profile: those of devices whose drivers use the kernel's DMA calls.
    [[nodiscard]] bool is_profiled() const { return profiled_; }

  private:
    Place hello_;
    Place goodbye_;
    std::uint64_t features_ = 0;
    std::uint64_t slack_ = 0;
    std::uint64_t status_ = 0;
    bool profiled_ = false;
    bool refused_ = false;
    bool early_ = false;
};

}  // namespace pv::checks
