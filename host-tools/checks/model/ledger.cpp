// Commands from submission to their end.
// SPDX-License-Identifier: MIT
#include "checks/model/ledger.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <utility>

namespace pv::checks {

using trace::Kind;

namespace {

constexpr std::uint16_t low16(std::uint64_t value) {
    return static_cast<std::uint16_t>(value & 0xffff);
}

/// NVMe 2.0, figure 95 (generic command status): Command Abort Requested, and aborted by SQ deletion.
constexpr bool is_abort_status(std::uint64_t status) {
    return (status & 0x7ff) == 0x07 || (status & 0x7ff) == 0x08;
}

/// Open commands under one id: a driver that keeps its ids apart has one, and whoever reuses it early, two.
constexpr std::size_t most_of_one_id = 256;

/// A command of which the device's taking it is the first that is seen.
Command unannounced(const Ledger::Taken& taken) {
    Command command;
    command.bdf = taken.bdf;
    command.queue = taken.queue;
    command.id = taken.id;
    command.marker_id = taken.id;
    command.operation = taken.operation;
    return command;
}

}  // namespace

Command* Ledger::open(std::uint64_t serial) {
    const auto found = commands_.find(serial);
    return found == commands_.end() ? nullptr : &found->second;
}

const Command* Ledger::find(std::uint64_t serial) const {
    const auto found = commands_.find(serial);
    return found == commands_.end() ? nullptr : &found->second;
}

template <class Fits>
Command* Ledger::oldest(const Key& key, Fits&& fits) {
    const auto serials = by_id_.find(key);
    if (serials == by_id_.end()) {
        return nullptr;
    }
    for (const std::uint64_t serial : serials->second) {
        Command* command = open(serial);
        if (command != nullptr && fits(*command)) {
            return command;
        }
    }
    return nullptr;
}

std::vector<const Command*> Ledger::with_id(Bdf bdf, std::uint32_t queue, std::uint16_t id) const {
    std::vector<const Command*> commands;
    const auto serials = by_id_.find({bdf, queue, id});
    if (serials != by_id_.end()) {
        for (const std::uint64_t serial : serials->second) {
            commands.push_back(find(serial));
        }
    }
    return commands;
}

void Ledger::count(const Command& command, bool present) {
    if (!command.outstanding()) {
        return;
    }
    const std::tuple place{command.bdf, command.queue, command.serial};
    if (present) {
        live_.insert(place);
    } else {
        live_.erase(place);
    }
    if (!command.waits_for_event) {
        std::size_t& owed = owed_[command.bdf];
        owed += present ? 1 : std::size_t{0} - 1;
        if (owed == 0) {
            owed_.erase(command.bdf);
        }
    }
}

template <class Change>
void Ledger::alter(Command& command, Change&& change) {
    count(command, false);
    change();
    count(command, true);
}

Command& Ledger::add(Command command) {
    command.serial = ++last_serial_;
    const Key key{command.bdf, command.queue, command.id};
    if (commands_.size() >= limits_.open_objects) {
        ++dropped_;
        close(commands_.begin()->first);
    }
    std::vector<std::uint64_t>* serials = &by_id_[key];
    if (serials->size() >= most_of_one_id) {
        ++dropped_;
        close(serials->front());
        serials = &by_id_[key];
    }
    serials->push_back(command.serial);
    count(command, true);
    return commands_.emplace(command.serial, command).first->second;
}

void Ledger::see(const trace::Event& event) {
    if (event.kind == Kind::marker_command_submit) {
        submit(event);
        return;
    }
    if (event.kind != Kind::marker_command_complete && event.kind != Kind::marker_command_timeout &&
        event.kind != Kind::marker_command_failed && event.kind != Kind::marker_command_refused) {
        return;
    }
    const Key key{static_cast<Bdf>(event.args[0]), static_cast<std::uint32_t>(event.args[1]),
                  low16(event.args[2])};
    const std::uint64_t id = event.args[2];
    const auto same = [id](const Command& command) { return command.submitted && command.marker_id == id; };
    const Place at = place_of(event);
    if (event.kind == Kind::marker_command_refused) {
        // The driver knows no generation of what it refuses: only the id on the wire says which command it
        // was.
        Command* command = oldest(key, [](const Command& c) {
            return c.submitted && c.completed && !c.acknowledged && !c.refused;
        });
        if (command != nullptr) {
            command->refused = at;
            close_when_done(*command);
        }
        return;
    }
    if (event.kind == Kind::marker_command_complete) {
        Command* command =
            oldest(key, [&](const Command& c) { return same(c) && !c.acknowledged && c.completed; });
        if (command == nullptr) {
            command = oldest(key, [&](const Command& c) { return same(c) && !c.acknowledged; });
        }
        if (command != nullptr) {
            command->acknowledged = at;
            signals_.acknowledged(*command);
            close_when_done(*command);
        }
        return;
    }
    Command* command = oldest(key, [&](const Command& c) { return same(c) && !c.acknowledged && !c.failed; });
    if (command == nullptr) {
        return;
    }
    if (event.kind == Kind::marker_command_timeout) {
        command->timed_out = at;
        signals_.timeline(
            at, command->bdf, "timeout",
            fmt::format("{} on queue {} has waited {:.1f} s", operation_name(command->operation),
                        command->queue, static_cast<double>(at.time - command->submitted.time) / 1e6));
    } else {
        alter(*command, [&] { command->failed = at; });
        close_when_done(*command);
    }
}

void Ledger::submit(const trace::Event& event) {
    Command command;
    command.bdf = static_cast<Bdf>(trace::get<Kind::marker_command_submit, "device">(event));
    command.queue = static_cast<std::uint32_t>(trace::get<Kind::marker_command_submit, "queue">(event));
    command.marker_id = trace::get<Kind::marker_command_submit, "command">(event);
    command.id = low16(command.marker_id);
    command.operation =
        static_cast<std::uint32_t>(trace::get<Kind::marker_command_submit, "operation">(event));
    command.deadline = trace::get<Kind::marker_command_submit, "deadline">(event);
    command.submitted = place_of(event);
    oldest({command.bdf, command.queue, command.id}, [&](Command& earlier) {
        if (earlier.outstanding()) {
            earlier.shares_id = true;
            command.shares_id = true;
        }
        return false;
    });
    const Command& added = add(command);
    not_taken_[{added.bdf, added.queue}].insert(added.serial);
    signals_.submitted(added);
}

std::uint64_t Ledger::take(const Taken& taken, const Place& at) {
    Command* command = oldest({taken.bdf, taken.queue, taken.id},
                              [](const Command& c) { return c.submitted && !c.taken && !c.reset; });
    if (command == nullptr) {
        command = &add(unannounced(taken));
    } else {
        not_waiting(*command);
    }
    alter(*command, [&] { command->taken = at; });
    command->ambiguous = taken.ambiguous;
    signals_.taken(*command);
    return command->serial;
}

std::uint64_t Ledger::take_next(const Taken& taken, const Place& at) {
    const auto waiting = not_taken_.find({taken.bdf, taken.queue});
    while (waiting != not_taken_.end() && !waiting->second.empty()) {
        Command* command = open(*waiting->second.begin());
        waiting->second.erase(waiting->second.begin());
        if (command != nullptr && !command->reset) {
            alter(*command, [&] { command->taken = at; });
            signals_.taken(*command);
            return command->serial;
        }
    }
    Command command = unannounced(taken);
    command.taken = at;
    const Command& added = add(command);
    signals_.taken(added);
    return added.serial;
}

void Ledger::describe(std::uint64_t serial, std::uint32_t operation, std::uint64_t bytes, std::uint64_t lba) {
    if (Command* command = open(serial)) {
        command->operation = operation;
        command->bytes = bytes;
        command->lba = lba;
    }
}

void Ledger::mark_event_wait(std::uint64_t serial) {
    if (Command* command = open(serial)) {
        alter(*command, [&] { command->waits_for_event = true; });
    }
}

void Ledger::abort(Bdf bdf, std::uint64_t abort_serial, const Place& at) {
    if (Command* command = open(abort_serial)) {
        command->is_abort = true;
    }
    Command* meant = nullptr;
    for (auto at_device = live_.lower_bound({bdf, 0, 0});
         at_device != live_.end() && std::get<0>(*at_device) == bdf; ++at_device) {
        Command& command = *open(std::get<2>(*at_device));
        if (command.serial == abort_serial || command.aborted || command.waits_for_event ||
            command.is_abort || !command.taken) {
            continue;
        }
        const auto rank = [](const Command& c) { return std::pair(!c.timed_out, c.serial); };
        if (meant == nullptr || rank(command) < rank(*meant)) {
            meant = &command;
        }
    }
    if (meant == nullptr) {
        signals_.timeline(at, bdf, "abort", "Abort sent; the device has nothing outstanding");
        return;
    }
    const double waited = static_cast<double>(at.time - meant->begun().time) / 1e6;
    meant->aborted = at;
    if (!meant->timed_out && !meant->submitted) {
        // A guest without markers: that it gave up waiting shows here first.
        meant->timed_out = at;
        signals_.timeline(at, bdf, "timeout",
                          fmt::format("{} on queue {} (id {}) had waited {:.1f} s when the driver acted",
                                      operation_name(meant->operation), meant->queue, meant->id, waited));
    }
    signals_.timeline(
        at, bdf, "abort",
        fmt::format("Abort sent; the oldest outstanding command is a {} on queue {} (id {}), {:.1f} s old",
                    operation_name(meant->operation), meant->queue, meant->id, waited));
}

void Ledger::complete(std::uint64_t serial, std::uint64_t status, const Place& at) {
    constexpr std::int64_t slow = 1'000'000;
    Command* command = open(serial);
    if (command == nullptr || command->completed) {
        return;
    }
    alter(*command, [&] { command->completed = at; });
    command->status = status;
    const std::int64_t waited = at.time - command->begun().time;
    if (is_abort_status(status) && command->aborted) {
        signals_.timeline(
            at, command->bdf, "aborted",
            fmt::format("{} on queue {} ended as aborted after {:.1f} s", operation_name(command->operation),
                        command->queue, static_cast<double>(waited) / 1e6));
    } else if (waited >= slow && !command->waits_for_event) {
        signals_.timeline(
            at, command->bdf, command->timed_out ? "late completion" : "slow",
            fmt::format("{} on queue {} completed after {:.1f} s", operation_name(command->operation),
                        command->queue, static_cast<double>(waited) / 1e6));
    }
    signals_.completed(*command);
    end_transfers(serial);
    close_when_done(*command);
}

void Ledger::reset(Bdf bdf, const Place& at) {
    reset_range(bdf, 0, std::numeric_limits<std::uint32_t>::max(), at);
    not_taken_.erase(not_taken_.lower_bound({bdf, 0}),
                     not_taken_.upper_bound({bdf, std::numeric_limits<std::uint32_t>::max()}));
}

void Ledger::reset_queue(Bdf bdf, std::uint32_t queue, const Place& at) {
    reset_range(bdf, queue, queue, at);
    not_taken_.erase({bdf, queue});
}

void Ledger::reset_range(Bdf bdf, std::uint32_t first_queue, std::uint32_t last_queue, const Place& at) {
    std::vector<std::uint64_t> over;
    for (auto live = live_.lower_bound({bdf, first_queue, 0});
         live != live_.end() && std::get<0>(*live) == bdf && std::get<1>(*live) <= last_queue; ++live) {
        over.push_back(std::get<2>(*live));
    }
    std::ranges::sort(over);
    for (const std::uint64_t serial : over) {
        Command& command = *open(serial);
        alter(command, [&] { command.reset = at; });
    }
    for (const std::uint64_t serial : over) {
        end_transfers(serial);
        close_when_done(*open(serial));
    }
}

void Ledger::move(std::uint64_t serial, Bdf bdf) {
    Command* command = open(serial);
    if (command == nullptr || command->bdf == bdf || command->submitted) {
        return;
    }
    const Key old{command->bdf, command->queue, command->id};
    std::erase(by_id_[old], serial);
    alter(*command, [&] { command->bdf = bdf; });
    by_id_[{bdf, command->queue, command->id}].push_back(serial);
}

void Ledger::reopen(std::uint64_t serial) {
    if (Command* command = open(serial)) {
        alter(*command, [&] { command->completed = {}; });
        command->status = 0;
        command->ambiguous = true;
    }
}

void Ledger::doubt(std::uint64_t serial) {
    const auto transfers = transfers_.find(serial);
    if (transfers != transfers_.end()) {
        for (Transfer& transfer : transfers->second) {
            transfer.doubtful = true;
        }
    }
}

void Ledger::begin_transfer(std::uint64_t owner, Transfer transfer) {
    transfer.id = ++last_transfer_;
    transfer.command = find(owner) == nullptr ? 0 : owner;
    auto& of_owner = transfers_[owner];
    of_owner.push_back(transfer);
    in_flight_[transfer.bdf].insert(transfer.address, transfer.length, &of_owner.back());
    signals_.transfer(of_owner.back());
}

void Ledger::end_transfers(std::uint64_t owner) {
    const auto transfers = transfers_.find(owner);
    if (transfers == transfers_.end()) {
        return;
    }
    for (const Transfer& transfer : transfers->second) {
        in_flight_[transfer.bdf].erase(transfer.address, transfer.length, &transfer);
    }
    transfers_.erase(transfers);
}

void Ledger::not_waiting(const Command& command) {
    const auto waiting = not_taken_.find({command.bdf, command.queue});
    if (waiting == not_taken_.end()) {
        return;
    }
    waiting->second.erase(command.serial);
    if (waiting->second.empty()) {
        not_taken_.erase(waiting);  // a guest may name any number of queues
    }
}

void Ledger::close_when_done(Command& command) {
    // A command that failed before the device took it may still be taken: only a reset ends that.
    const bool device_done = command.completed || command.reset;
    const bool guest_done = !command.submitted || command.acknowledged || command.failed || command.refused;
    if (device_done && guest_done) {
        close(command.serial);
    }
}

void Ledger::close(std::uint64_t serial) {
    const auto found = commands_.find(serial);
    if (found == commands_.end()) {
        return;
    }
    Command command = found->second;
    count(command, false);
    commands_.erase(found);
    const auto serials = by_id_.find({command.bdf, command.queue, command.id});
    if (serials != by_id_.end()) {
        std::erase(serials->second, serial);
        if (serials->second.empty()) {
            by_id_.erase(serials);
        }
    }
    if (!command.taken && command.submitted) {
        not_waiting(command);
    }
    end_transfers(serial);
    signals_.closed(command);
}

void Ledger::finish() {
    while (!commands_.empty()) {
        close(commands_.begin()->first);
    }
}

}  // namespace pv::checks
