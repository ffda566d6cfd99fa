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

/// Commands one queue has in flight at most: the slots' bits leave eight for a generation in NVMe's ids.
inline constexpr std::size_t maximum_in_flight = 256;

/// What is known of a command: for the device's answer, for the markers, and for the console when it waits.
struct Command {
    enum class State : std::uint8_t {
        submitted,  ///< the device owes it, a caller waits
        overdue,    ///< the command's own deadline passed; the caller waits for the recovery
        completed,  ///< the device answered; the caller has not fetched it yet
        timed_out,  ///< the caller has its error; the device still owes it and may touch the memory
        failed,     ///< given up by a reset; the caller has not fetched it yet
    };

    State state = State::submitted;
    marker::Operation operation = marker::Operation::other;
    std::uint64_t first = 0;  ///< block, for the console; 0 for an admin command
    std::uint64_t blocks = 0;
    Instant since;
    Deadline deadline = Deadline::at(Instant{});  ///< of the command: then the recovery begins
    Deadline limit = Deadline::at(Instant{});     ///< of the request: then its caller gets timed_out
    dma::Mapping data{};                          ///< empty for a command without data
    std::uint32_t expected = 0;  ///< bytes the device may write, as far as its answer says so (virtio)
    std::uint16_t status = 0;
    std::uint32_t result = 0;
    Error error = Error::io;  ///< when failed
    Instant abort_asked{};    ///< by the recovery, once; zero = not yet
    bool told = false;        ///< its end was marked already: its caller was told that the queue is closed
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
    std::uint64_t succeeded = 0;  ///< of those
    std::uint64_t timed_out = 0;
    std::uint64_t late = 0;
    std::uint64_t refused = 0;
    std::uint64_t failed = 0;
    std::uint64_t overdue = 0;   ///< now: past their deadline, and the device still owes them
    std::uint64_t repeated = 0;  ///< requests begun again after a recovery ended their command

    void add(const CommandCounts& other) {
        submitted += other.submitted;
        completed += other.completed;
        succeeded += other.succeeded;
        timed_out += other.timed_out;
        late += other.late;
        refused += other.refused;
        failed += other.failed;
        overdue += other.overdue;
        repeated += other.repeated;
    }
};

/// Not synchronised. Times are passed in, so that a test is master of the clock.
class CommandTable {
  public:
    using Slots = SlotTable<Command, maximum_in_flight>;

    explicit CommandTable(Generations generations, std::size_t limit, std::uint64_t generation = 0)
        : slots_{generations, limit, generation} {}

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

    /// The same, but the memory is handed to the caller still mapped, who ends that without the lock: it may
    /// mean a copy, or a wait for the IOMMU.
    [[nodiscard]] std::optional<Result<Outcome>> take(CommandId id, dma::Mapping& data);

    /// Its own deadline passed; the caller may still wait. False when it finished in the meantime: take it.
    [[nodiscard]] bool expire(CommandId id);

    /// The caller of an overdue command gives up too: the memory goes to quarantine. False when it finished
    /// in the meantime: take it.
    [[nodiscard]] bool abandon(CommandId id);

    /// Commands past their deadline that the device still owes.
    [[nodiscard]] std::size_t overdue() const { return overdue_; }

    /// `id` was submitted for a request whose earlier command a recovery ended.
    void count_repeat() { ++counts_.repeated; }

    /// A completion that names no command at all was refused.
    void count_refused() { ++counts_.refused; }

    /// The device is proven to be done with what it owes (reset, queue deleted, cut off): every such command
    /// ends with `error`, its memory is unmapped. Calls `each(CommandId, const Command&)` for those the
    /// device still owed.
    template <class Function>
    void fail_all(Error error, Function&& each) {
        slots_.for_each([&](CommandId id, Command& command) {
            switch (command.state) {
                case Command::State::submitted:
                case Command::State::overdue:
                    each(id, command);
                    ++counts_.failed;
                    // Its caller will take it; the device is done with the memory already.
                    command.data.unmap();
                    command.state = Command::State::failed;
                    command.error = error;
                    break;
                case Command::State::timed_out:
                    each(id, command);
                    ++counts_.failed;
                    command.data.unmap();
                    slots_.release(id);
                    break;
                case Command::State::completed:
                case Command::State::failed:
                    break;  // ended before; its caller takes it
            }
        });
        owed_ = 0;
        overdue_ = 0;
    }

    /// Nobody takes what ended any more: slots and memory of it are given back.
    void drop_ended() {
        slots_.for_each([&](CommandId id, Command& command) {
            if (command.state == Command::State::completed || command.state == Command::State::failed) {
                command.data.unmap();
                slots_.release(id);
            }
        });
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
    std::size_t overdue_ = 0;
};

}  // namespace pv::block
