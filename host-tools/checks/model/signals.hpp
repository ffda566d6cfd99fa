// What the model tells the rules, the command table and the time line as it follows a trace.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "checks/model/types.hpp"

namespace pv::checks {

/// A completion that fits no command.
struct StrayCompletion {
    Place at;
    Bdf bdf = no_device;
    std::uint32_t queue = 0;
    std::uint16_t id = 0;
};

/// Receives the model's findings of fact. References are valid during the call only.
class Signals {
  public:
    Signals() = default;
    Signals(const Signals&) = delete;
    Signals& operator=(const Signals&) = delete;
    virtual ~Signals() = default;

    virtual void transfer(const Transfer& transfer) = 0;
    virtual void mapped(const Mapping& mapping) = 0;
    virtual void unmapped(const Mapping& mapping) = 0;
    virtual void submitted(const Command& command) = 0;
    virtual void taken(const Command& command) = 0;
    virtual void completed(const Command& command) = 0;
    virtual void acknowledged(const Command& command) = 0;
    virtual void closed(const Command& command) = 0;
    virtual void stray(const StrayCompletion& completion) = 0;
    virtual void doorbell(const Doorbell& doorbell) = 0;
    virtual void timeline(const Place& at, Bdf bdf, std::string_view what, std::string detail) = 0;
};

}  // namespace pv::checks
