// Commands from submission to their end, and the memory the device uses for each.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <set>
#include <string>
#include <tuple>
#include <unordered_map>
#include <vector>

#include "checks/limits.hpp"
#include "checks/model/interval_index.hpp"
#include "checks/model/signals.hpp"
#include "checks/model/types.hpp"

namespace pv::checks {

/// Brings together what the guest announced (markers) and what the device did (NVMe and virtio trackers call
/// in). A command is followed until everything that can be known of it is known.
class Ledger {
  public:
    Ledger(Signals& signals, const Limits& limits) : signals_(signals), limits_(limits) {}

    /// Markers command_*.
    void see(const trace::Event& event);

    // What the device does. Serials stay valid until the command is closed; unknown ones are ignored.

    struct Taken {
        Bdf bdf = no_device;
        std::uint32_t queue = 0;
        std::uint16_t id = 0;
        std::uint32_t operation = 0;
        bool ambiguous = false;
    };

    /// The device fetched the command with this id. Its serial.
    std::uint64_t take(const Taken& taken, const Place& at);
    /// The device fetched the next command of a virtqueue, in the order of submission.
    std::uint64_t take_next(const Taken& taken, const Place& at);

    /// Whether the guest announced a command on this queue that the device did not fetch yet.
    [[nodiscard]] bool awaits(Bdf bdf, std::uint32_t queue) const {
        const auto waiting = not_taken_.find({bdf, queue});
        return waiting != not_taken_.end() && !waiting->second.empty();
    }

    void describe(std::uint64_t serial, std::uint32_t operation, std::uint64_t bytes, std::uint64_t lba);
    void mark_event_wait(std::uint64_t serial);
    /// An Abort was fetched by `bdf`: meant for the oldest command whose time is up, or else the oldest.
    void abort(Bdf bdf, std::uint64_t abort_serial, const Place& at);
    void complete(std::uint64_t serial, std::uint64_t status, const Place& at);
    /// The device is reset, and drained: what it had is over.
    void reset(Bdf bdf, const Place& at);
    /// A queue is deleted: what was left in it is over.
    void reset_queue(Bdf bdf, std::uint32_t queue, const Place& at);
    /// A tie between controllers was decided for another one: undoes take or complete.
    void move(std::uint64_t serial, Bdf bdf);
    void reopen(std::uint64_t serial);
    void doubt(std::uint64_t serial);

    /// An owner of transfers that is no command (a receive buffer).
    std::uint64_t anonymous() { return ++last_serial_; }

    void begin_transfer(std::uint64_t owner, Transfer transfer);
    void end_transfers(std::uint64_t owner);

    /// The trace is over: closes what is open, in order of submission.
    void finish();

    [[nodiscard]] const Command* find(std::uint64_t serial) const;

    /// Open commands of this id, oldest first.
    [[nodiscard]] std::vector<const Command*> with_id(Bdf bdf, std::uint32_t queue, std::uint16_t id) const;

    /// Commands the device still owes (without those that wait for events).
    [[nodiscard]] std::size_t outstanding(Bdf bdf) const {
        const auto count = owed_.find(bdf);
        return count == owed_.end() ? 0 : count->second;
    }

    /// Calls visit(transfer) for what `bdf` may be using in this range now; false stops.
    template <class Visit>
    void in_flight(Bdf bdf, std::uint64_t address, std::uint64_t length, Visit&& visit) const {
        const auto index = in_flight_.find(bdf);
        if (index != in_flight_.end()) {
            index->second.overlapping(
                address, length,
                [&](std::uint64_t, std::uint64_t, const Transfer* transfer) { return visit(*transfer); });
        }
    }

    /// The same for whatever device.
    template <class Visit>
    void in_flight_of_any(std::uint64_t address, std::uint64_t length, Visit&& visit) const {
        for (const auto& [bdf, index] : in_flight_) {
            in_flight(bdf, address, length, visit);
        }
    }

    /// Commands that could not be followed because there were too many.
    [[nodiscard]] std::uint64_t dropped() const { return dropped_; }

  private:
    struct Key {
        Bdf bdf;
        std::uint32_t queue;
        std::uint32_t id;

        auto operator<=>(const Key&) const = default;
    };

    struct Queue {
        Bdf bdf;
        std::uint32_t queue;

        auto operator<=>(const Queue&) const = default;
    };

    void submit(const trace::Event& event);
    Command* open(std::uint64_t serial);
    /// The oldest open command of this id for which `fits` holds; nullptr when there is none.
    template <class Fits>
    Command* oldest(const Key& key, Fits&& fits);
    Command& add(Command command);
    /// The device has it, or never will: take_next does not look for it any more.
    void not_waiting(const Command& command);
    void close_when_done(Command& command);
    /// Changes a command by change(), and keeps the books on what devices owe.
    template <class Change>
    void alter(Command& command, Change&& change);
    void count(const Command& command, bool present);
    /// Every command of the device that is outstanding, or of one queue of it, is over.
    void reset_range(Bdf bdf, std::uint32_t first_queue, std::uint32_t last_queue, const Place& at);
    void close(std::uint64_t serial);

    Signals& signals_;
    Limits limits_;
    std::uint64_t last_serial_ = 0;
    std::uint64_t last_transfer_ = 0;
    std::uint64_t dropped_ = 0;
    std::map<std::uint64_t, Command> commands_;  ///< open, by serial: oldest first
    std::map<Key, std::vector<std::uint64_t>> by_id_;
    std::map<Queue, std::set<std::uint64_t>> not_taken_;            ///< announced, in order
    std::set<std::tuple<Bdf, std::uint32_t, std::uint64_t>> live_;  ///< outstanding: device, queue, serial
    std::unordered_map<Bdf, std::size_t> owed_;  ///< as many of them, without those that wait for events
    std::unordered_map<std::uint64_t, std::deque<Transfer>> transfers_;  ///< by owner; addresses are stable
    std::unordered_map<Bdf, IntervalIndex<const Transfer*>> in_flight_;
};

}  // namespace pv::checks
