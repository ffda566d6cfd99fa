// All slots of this machine, and who uses what is in them: devices that leave in order, and those that are
// gone.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <memory>
#include <string_view>

#include "base/atomic.hpp"
#include "base/result.hpp"
#include "base/vector.hpp"
#include "device/pci/device.hpp"
#include "device/pci/scan.hpp"
#include "device/pci/slot.hpp"
#include "interrupt/vector.hpp"
#include "task/thread.hpp"
#include "task/wait_queue.hpp"

namespace pv::pci {

/// The driver of a function in a slot. Any thread; nothing here sleeps.
class Occupant {
  public:
    virtual ~Occupant() = default;
    [[nodiscard]] virtual std::string_view name() const = 0;
    [[nodiscard]] virtual Function function() const = 0;
    /// The function does not answer any more: end what waits for it.
    virtual void look() = 0;
    /// Let go of it within about `patience`.
    virtual void leave(Duration patience) = 0;
    /// It was let go of.
    [[nodiscard]] virtual bool dead() const = 0;
};

/// One thread for all slots. A press of the attention button asks for what is in the slot: its drivers let
/// go, then the slot is powered off (6.7.1.5 leaves five seconds to a hand that changes its mind; here
/// programs press, and there are none). What is pulled without asking is noticed by the slot's interrupt, or
/// where a slot says nothing, by looking four times a second; its driver is told at once.
class Slots {
  public:
    /// `longest_leave`: what a driver may take to let go before its slot is powered off all the same.
    explicit Slots(Duration longest_leave = Duration::seconds(30)) : longest_leave_{longest_leave} {}

    /// Ends the thread. Occupants' drivers outlive this.
    ~Slots() { stop(); }

    Slots(const Slots&) = delete;
    Slots& operator=(const Slots&) = delete;

    [[nodiscard]] std::size_t count() const { return places_.size(); }

    /// Takes the slot of `port`, if it is a bridge with one that devices can be taken out of. Before `add`,
    /// and before any device behind it is used: while the port's own registers are measured, it leads on to
    /// nothing. Errors: out_of_memory.
    Result<> take(const Found& found, const Function& port);

    /// Before `start`. Those of no slot are not kept. Errors: out_of_memory.
    Result<> add(std::unique_ptr<Occupant> occupant);

    /// Starts the thread, where there are slots. Errors: out_of_memory.
    Result<> start();

    /// Ends the thread: nobody looks at the occupants any more.
    void stop();

  private:
    struct Place {
        Place(const Slot& its_slot, const Function& port) : slot{its_slot}, device{port, "slot", true} {}

        Slot slot;
        Device device;
        interrupt::Vector vector;
        Vector<std::unique_ptr<Occupant>> occupants;
        Result<> raises;  ///< an interrupt
        bool occupied = false;
    };

    void serve();
    void look_at(Place& place);
    void empty(Place& place);
    Result<> listen(Place& place);
    static void raise(void* slots);

    Duration longest_leave_;
    Vector<std::unique_ptr<Place>> places_;
    Atomic<bool> asked_{false};
    Atomic<bool> stopping_{false};
    task::WaitQueue work_;
    task::Thread thread_;
};

}  // namespace pv::pci
