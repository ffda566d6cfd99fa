// The network of this machine: devices found, the stack started, what was asked for done, and all of it let
// go.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "base/vector.hpp"
#include "device/pci/scan.hpp"
#include "device/pci/slots.hpp"
#include "exercise/net_plan.hpp"
#include "net/device.hpp"
#include "net/stack.hpp"

namespace pv::exercise {

struct NetFigures {
    bool set_up = true;  ///< everything could be done as asked
    std::uint64_t mismatches = 0;
    std::uint64_t errors = 0;
    std::uint64_t timeouts = 0;
};

/// Threads only.
class Network {
  public:
    /// Takes the function when it is a network device, as each one the scan finds.
    void take(const pci::Found& found);

    /// Devices that were there and could not be brought up.
    [[nodiscard]] std::size_t failed() const { return failed_; }

    /// Brought-up devices.
    [[nodiscard]] std::size_t count() const { return stack_ == nullptr ? devices_.size() : stack_->count(); }

    /// Starts the stack on the devices there are; where there are none, `for_programs` only, who have the
    /// machine itself to talk to. Errors: out_of_memory.
    Result<> start(const NetPlan& plan, bool for_programs);

    /// Waits for an address on each interface, asks the peer, serves.
    [[nodiscard]] NetFigures run(const NetPlan& plan);

    /// Tells the slots of those that are in one. After `start`. Errors: out_of_memory.
    Result<> occupy(pci::Slots& slots);

    void print_status();

    /// The stack; nullptr without a device.
    [[nodiscard]] net::Stack* stack() { return stack_.get(); }

    /// Ends the stack and lets go of the devices, each within `patience`.
    void let_go(Duration patience);

  private:
    void ask(net::Interface& interface, const NetPlan& plan, NetFigures& figures);

    Vector<std::unique_ptr<net::Device>> devices_;
    Vector<pci::Address> addresses_;  ///< of devices_, and then of the stack's interfaces
    std::unique_ptr<net::Stack> stack_;
    std::size_t failed_ = 0;
    unsigned number_ = 0;
};

}  // namespace pv::exercise
