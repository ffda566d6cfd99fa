// Life of a device's commands: submitted, completed, timed out, late, failed by a reset. The states alone:
// no lock, no waiting, no hardware (that is CommandQueue's).
// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "base/deadline.hpp"
#include "base/marker.hpp"
#include "base/result.hpp"
#include "base/time.hpp"
#include "block/slot_table.hpp"
#include "device/dma/mapping.hpp"

namespace pv::block {

/// Commands one queue has in flight at most: the slots' bits leave nine for a generation in NVMe's ids.
inline constexpr std::size_t maximum_in_flight = 128;

/// What is known of a command: for the device's answer, for the markers, and for the console when it waits.
struct Command {
    enum class State : std::uint8_t {
        submitted,  ///< the device owes it, a caller waits
        completed,  ///< the device answered; the caller has not fetched it yet
        timed_out,  ///< the caller has its error; the device still owes it and may touch the memory
        failed,     ///< given up by a reset; the caller has not fetched it yet
    };

    State state = State::submitted;
    marker::Operation operation = marker::Operation::other;
    std::uint64_t first = 0;  ///< block, for the console; 0 for an admin command
    std::uint64_t blocks = 0;
    Instant since;
    Deadline deadline = Deadline::at(Instant{});
    dma::Mapping data{};         ///< empty for a command without data
    std::uint32_t expected = 0;  ///< bytes the device may write, as far as its answer says so (virtio)
    std::uint16_t status = 0;
    std::uint32_t result = 0;
    Error error = Error::io;  ///< when failed
    bool forgotten = false;   ///< breaks cmd-lost on purpose (misbehave/): its completion is not looked at
};

/// What became of a completion the device sent.
enum class Arrival : std::uint8_t {
    delivered,  ///< a caller waits for it
    late,       ///< its caller gave up before: the memory came out of quarantine, the slot is free again
    refused,    ///< nothing like it is outstanding: counted, nothing else
};

struct Outcome {
    std::uint16_t status = 0;
    std::uint32_t result = 0;
};

/// Counts since the queue was made.
struct CommandCounts {
    std::uint64_t submitted = 0;
    std::uint64_t completed = 0;
    std::uint64_t timed_out = 0;
    std::uint64_t late = 0;
    std::uint64_t refused = 0;
    std::uint64_t failed = 0;
};

/// Not synchronised. Times are passed in, so that a test is master of the clock.
class CommandTable {
  public:
    using Slots = SlotTable<Command, maximum_in_flight>;

    explicit CommandTable(Generations generations, std::size_t limit) : slots_{generations, limit} {}

    /// Takes a slot for `command`; nullopt when all are busy (quarantined ones keep theirs).
    [[nodiscard]] std::optional<CommandId> begin(Command&& command);

    /// Takes back a command the device has never seen.
    void withdraw(CommandId id);

    /// The device answered for `wire`. A late answer ends the command: its memory is unmapped.
    Arrival complete(std::uint16_t wire, std::uint16_t status, std::uint32_t result);

    /// True when `take` would answer.
    [[nodiscard]] bool finished(CommandId id);

    /// The outcome of a finished command, whose slot becomes free and whose memory is unmapped (in that order
    /// nothing else can be between). Errors: what a reset left it with. nullopt while it is not finished, or
    /// when it is not outstanding at all.
    [[nodiscard]] std::optional<Result<Outcome>> take(CommandId id);

    /// Its caller gives up: the memory goes to quarantine. False when it finished in the meantime: take it.
    [[nodiscard]] bool expire(CommandId id);

    /// The device is proven quiet (reset and drained, or cut off): every command ends with `error`, memory in
    /// quarantine is unmapped. Calls `each(CommandId, const Command&)` for those the device still owed.
    template <class Function>
    void fail_all(Error error, Function&& each) {
        slots_.for_each([&](CommandId id, Command& command) {
            if (command.state == Command::State::submitted || command.state == Command::State::timed_out) {
                each(id, command);
                ++counts_.failed;
            }
            if (command.state == Command::State::submitted) {
                command.state = Command::State::failed;
                command.error = error;
            } else {
                // Nobody will take it any more (timed out), or nobody did (completed): its slot and memory
                // end here.
                command.data.unmap();
                slots_.release(id);
            }
        });
        owed_ = 0;
    }

    [[nodiscard]] Command* find(CommandId id) { return slots_.find(id); }

    [[nodiscard]] std::optional<CommandId> name(std::uint16_t wire) const { return slots_.name(wire); }

    /// Commands that hold a slot, and those of them the device still owes an answer.
    [[nodiscard]] std::size_t outstanding() const { return slots_.outstanding(); }

    [[nodiscard]] std::size_t owed() const { return owed_; }

    [[nodiscard]] std::size_t limit() const { return slots_.limit(); }

    [[nodiscard]] const CommandCounts& counts() const { return counts_; }

    template <class Function>
    void for_each(Function&& function) {
        slots_.for_each(function);
    }

  private:
    Slots slots_;
    CommandCounts counts_;
    std::size_t owed_ = 0;
};

}  // namespace pv::block
