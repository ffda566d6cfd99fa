// When each step of a fault plan is due: at the start, or some time after an event was seen for the n-th
// time.
// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace pv::faults {

/// The moment of a step. Without an event: `delay` after the start of the guest.
struct Moment {
    std::string event;                  ///< name of a trace event or marker; empty: the guest's start
    std::uint64_t nth = 1;              ///< its n-th occurrence, from 1
    std::chrono::nanoseconds delay{0};  ///< after that

    bool operator==(const Moment&) const = default;
};

/// What to do, and when.
struct Step {
    enum class Action : std::uint8_t {
        arm,         ///< a fault of the plan begins to catch requests
        disarm,      ///< it ceases to, and what it holds goes on
        disconnect,  ///< the connection to a disk's server is cut: all its requests fail from then on
        link_down,   ///< a network card loses its link
        link_up,
        unplug,  ///< the guest is asked to let go of a device, which then leaves its slot
        pull,    ///< a device leaves its slot, whatever the guest does with it
    };

    Action action = Action::arm;
    std::size_t fault = 0;  ///< for arm and disarm: index into the plan's faults
    std::string target;     ///< for the others: disk0, net0, ...
    Moment moment;
    std::string text;  ///< as a person reads it

    bool operator==(const Step&) const = default;
};

/// Which steps are due. Not thread-safe. Takes time from its caller: nothing here waits.
class Schedule {
  public:
    using Clock = std::chrono::steady_clock;

    explicit Schedule(std::vector<Step> steps) : pending_(make(std::move(steps))) {}

    /// The guest was started.
    void begin(Clock::time_point now);

    /// An event of this name was seen.
    void saw(std::string_view event, Clock::time_point now);

    /// Whether any step still waits for an event of this name.
    [[nodiscard]] bool waits_for(std::string_view event) const;

    /// Takes the steps that are due, the earliest first.
    [[nodiscard]] std::vector<Step> due(Clock::time_point now);

    /// When the next step is due; nothing while none has a time.
    [[nodiscard]] std::optional<Clock::time_point> next() const;

    /// Steps whose moment never came.
    [[nodiscard]] std::vector<Step> left() const;

  private:
    struct Pending {
        Step step;
        std::uint64_t seen = 0;
        std::optional<Clock::time_point> at;
    };

    static std::vector<Pending> make(std::vector<Step> steps);

    std::vector<Pending> pending_;
};

}  // namespace pv::faults
